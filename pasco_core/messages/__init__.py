"""ROS messages of scenes, made in one place for rclpy and for bags alike."""
