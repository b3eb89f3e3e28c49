"""The fusion as a ROS node: scenes of many clouds become one, in a frame that does not move with the vehicle."""
