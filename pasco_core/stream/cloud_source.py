"""One topic with clouds: its cheap checks, and what is remembered from cloud to cloud to read the next one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pasco_core.clock_jumps import is_of_now
from pasco_core.data.cloud_message import EMPTY, CloudLayout, check_cloud
from pasco_core.data.intensity import IntensityScale
from pasco_core.data.point_times import PointTimes
from pasco_core.errors import CloudError
from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.header_checks import StampOrder, check_header
from pasco_core.stream.outcomes import Outcome, Verdict


@dataclass
class CloudMember:
    """One received cloud of a frame; the clouds of several LiDARs that are merged are members of the same.

    Args:
        message: the PointCloud2, of rclpy or of a bag.
        topic: where it came from, resolved.
        layout: its checked layout, None for a cloud known to be empty.
        scale: intensity scale of its topic; only the thread that decodes uses it.
        times: what reads the points' times of its topic; only the thread that decodes uses it.
        number: of its LiDAR; 0 is the one on the topic points.
    """

    message: Any
    topic: str
    layout: CloudLayout | None = None
    scale: IntensityScale = field(default_factory=IntensityScale)
    times: PointTimes = field(default_factory=PointTimes)
    number: int = 0

    @property
    def points_in(self) -> int:
        """Points as declared by the message."""
        return min(int(self.message.width) * int(self.message.height), 2**32 - 1)


class CloudSource:
    """The clouds of one LiDAR, from the node's activation or the recording's begin on.

    Args:
        topic: its name, resolved.
        config: the settings.
        number: of the LiDAR; 0 is the one on the topic points.
    """

    def __init__(self, topic: str, config: NodeConfig, number: int = 0) -> None:
        maximum = config.intensity_maxima[number] if number < len(config.intensity_maxima) else 0.0
        self.topic = topic
        self._number = number
        self._order = StampOrder(topic)
        self._scale = IntensityScale(maximum or None)
        self._times = PointTimes(config.point_time_unit)

    def member(self, message: Any) -> CloudMember:
        """A received message, not checked yet."""
        return CloudMember(message, self.topic, scale=self._scale, times=self._times, number=self._number)

    def check(self, member: CloudMember, now: int, config: NodeConfig) -> Verdict | None:
        """Look at header, layout and order of a cloud; its layout is noted.

        Args:
            member: a cloud of this source.
            now: the node's clock in ns; 0 while it has not started.
            config: the settings as they are now.

        Returns:
            None where it is to be computed; FLUSHED where it is, but all that is older must be forgotten first; any
            other verdict where it is not.
        """
        header = member.message.header
        refusal = check_header(header, self.topic, now, config.future_tolerance)
        if refusal is not None:
            return refusal
        try:
            member.layout = check_cloud(member.message, self.topic)
        except CloudError as error:
            if error.code != EMPTY:
                return Verdict(Outcome.REJECTED, error.code, str(error))
            if config.empty_cloud == "skip":
                return Verdict(Outcome.EMPTY, EMPTY, str(error))
        return self._order.take(header.stamp)

    def is_of(self, now: int) -> bool:
        """Whether the newest cloud belongs to the time after a jump of the clock to ``now`` ns."""
        return self._order.newest is not None and is_of_now(self._order.newest, now)

    def restart(self) -> None:
        """Let any stamp come next, as after a jump of the clock."""
        self._order = StampOrder(self.topic)
