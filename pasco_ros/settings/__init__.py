"""The node's parameters: typed, checked, declared to ROS."""
