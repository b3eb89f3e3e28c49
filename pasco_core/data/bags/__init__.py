"""rosbag2 without ROS: reading, also damaged ones, writing, and conversion from and to datasets."""

from pasco_core.data.bags.reader import CLOUD_TYPE, BagReader, TopicInfo, find_cloud_topic, open_bag, require_topic

__all__ = ["CLOUD_TYPE", "BagReader", "TopicInfo", "find_cloud_topic", "open_bag", "require_topic"]
