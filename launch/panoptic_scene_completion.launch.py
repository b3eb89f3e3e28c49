"""Starts the node for one LiDAR, configured and active; with a recording, the simulated town or RViz on request.

ros2 launch pasco panoptic_scene_completion.launch.py topic:=/velodyne_points checkpoint:=pasco.safetensors
ros2 launch pasco panoptic_scene_completion.launch.py topic:=/velodyne_points bag:=drive rviz:=true
ros2 launch pasco panoptic_scene_completion.launch.py sim:=true rviz:=true
"""

from launch import LaunchDescription
from pasco_ros.launching.actions import describe
from pasco_ros.launching.arguments import COMMON, ONE_LIDAR


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    return describe({**ONE_LIDAR, **COMMON})
