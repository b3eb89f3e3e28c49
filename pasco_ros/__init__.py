"""ROS 2 side of the package: message conversion, the lifecycle node and the demo."""
