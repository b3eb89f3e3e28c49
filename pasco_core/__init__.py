"""PaSCo's networks, geometry and tools, free of ROS and of any training framework."""

__version__ = "0.1.0"
