"""Which ROS messages the outputs are made of; rclpy and bags each bring their own classes for them."""

from __future__ import annotations

MESSAGE_TYPES = {
    "Time": "builtin_interfaces/msg/Time",
    "Header": "std_msgs/msg/Header",
    "ColorRGBA": "std_msgs/msg/ColorRGBA",
    "Point": "geometry_msgs/msg/Point",
    "Pose": "geometry_msgs/msg/Pose",
    "Quaternion": "geometry_msgs/msg/Quaternion",
    "Vector3": "geometry_msgs/msg/Vector3",
    "MapMetaData": "nav_msgs/msg/MapMetaData",
    "OccupancyGrid": "nav_msgs/msg/OccupancyGrid",
    "Image": "sensor_msgs/msg/Image",
    "PointCloud2": "sensor_msgs/msg/PointCloud2",
    "PointField": "sensor_msgs/msg/PointField",
    "Marker": "visualization_msgs/msg/Marker",
    "MarkerArray": "visualization_msgs/msg/MarkerArray",
    "VoxelLayer": "pasco/msg/VoxelLayer",
    "VoxelGrid": "pasco/msg/VoxelGrid",
    "Segment": "pasco/msg/Segment",
    "SegmentArray": "pasco/msg/SegmentArray",
    "FrameStatus": "pasco/msg/FrameStatus",
}
"""Short name → ROS type. A namespace with a class under every short name is what the builders of messages take."""
