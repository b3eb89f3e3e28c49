"""One computation's input: the cloud of one sensor, or the clouds of several that are merged and share one fate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pasco_core.data.camera_image import PosedImage
from pasco_core.data.cloud_message import CloudLayout
from pasco_core.data.intensity import IntensityScale
from pasco_core.data.point_times import PointTimes
from pasco_core.stream.outcomes import FrameLedger, FrameReport


@dataclass
class CloudMember:
    """One received cloud of a frame.

    Args:
        message: the PointCloud2.
        topic: where it came from, resolved.
        layout: its checked layout, None for a cloud known to be empty.
        scale: intensity scale of its topic in this activation; only the computing thread uses it.
        times: what reads the points' times of its topic; only the computing thread uses it.
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


@dataclass
class CloudFrame:
    """A frame on its way through the node.

    Args:
        members: one cloud or more; each is counted and reported for itself, all with the same outcome.
        ledger: where the outcomes are counted.
        received: monotonic time in seconds at which the frame was complete.
        report: what becomes known about it.
        images: what the cameras saw at its time, posed in the network's frame; only those that somebody needs.
    """

    members: tuple[CloudMember, ...]
    ledger: FrameLedger
    received: float
    report: FrameReport = field(default_factory=FrameReport)
    images: tuple[PosedImage, ...] = ()

    @property
    def header(self) -> Any:
        """Stamp and frame of the outputs: those of the first member."""
        return self.members[0].message.header
