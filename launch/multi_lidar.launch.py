"""Starts the node for several LiDARs, configured and active; with a recording, the simulated town or RViz on request.

ros2 launch pasco multi_lidar.launch.py topics:="[/front/points, /rear/points]" base_frame:=base_footprint
ros2 launch pasco multi_lidar.launch.py sim:=true rviz:=true
"""

from launch import LaunchDescription
from pasco_ros.launching.actions import describe
from pasco_ros.launching.arguments import COMMON, SEVERAL_LIDARS


def generate_launch_description() -> LaunchDescription:
    """Called by `ros2 launch`."""
    return describe({**SEVERAL_LIDARS, **COMMON})
