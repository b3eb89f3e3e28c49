"""A recording through the network without ROS: the node's messages, numbers and a report, the same bits every time."""

from pasco_core.replay.plan import ReplayPlan
from pasco_core.replay.run import ReplayRun, begin, replay
from pasco_core.replay.settings import ReplaySettings, settings_from, settings_in_file

__all__ = ["ReplayPlan", "ReplayRun", "ReplaySettings", "begin", "replay", "settings_from", "settings_in_file"]
