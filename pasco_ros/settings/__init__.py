"""The parameters of this package's nodes as ROS declares them, and as documents."""
