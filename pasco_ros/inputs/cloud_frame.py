"""One computation's input: the cloud of one sensor, or the clouds of several that are merged and share one fate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pasco_core.data.camera_image import PosedImage
from pasco_core.stream.cloud_source import CloudMember
from pasco_core.stream.outcomes import FrameLedger, FrameReport


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
