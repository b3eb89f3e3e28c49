"""The simulated town as a ROS node: a car that drives and publishes what its sensors see."""
