"""Which image of a bag belongs to which cloud: the nearest in time, before or after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pasco_core.data.frame import Frame

IMAGE_REACH = 50_000_000
"""Nanoseconds between a cloud and the image that is written beside it, at most."""


class ImagePairing:
    """Gives every cloud the image nearest in time; keeps one image and the clouds that wait for a later one.

    Args:
        write: called with the frame of a cloud and its image.
    """

    def __init__(self, write: Callable[[Frame, Any], None]):
        self._write = write
        self._waiting: list[tuple[int, Frame]] = []
        self._last: tuple[int, Any] | None = None

    def cloud(self, stamp: int, frame: Frame) -> None:
        """A cloud of a time in ns."""
        if self._last is not None and self._last[0] == stamp:
            self._write(frame, self._last[1])
        else:
            self._waiting.append((stamp, frame))
            self._waiting = [entry for entry in self._waiting if entry[0] >= stamp - 10 * IMAGE_REACH]

    def image(self, stamp: int, message: Any) -> None:
        """An image of a time in ns."""
        still = []
        for wanted, frame in self._waiting:
            if wanted > stamp:
                still.append((wanted, frame))
            else:
                self._nearest(wanted, frame, (stamp, message))
        self._waiting, self._last = still, (stamp, message)

    def end(self) -> None:
        """No further image will come."""
        for wanted, frame in self._waiting:
            self._nearest(wanted, frame, None)

    def _nearest(self, wanted: int, frame: Frame, following: tuple[int, Any] | None) -> None:
        around = [image for image in (self._last, following) if image is not None]
        best = min(around, key=lambda image: abs(image[0] - wanted), default=None)
        if best is not None and abs(best[0] - wanted) <= IMAGE_REACH:
            self._write(frame, best[1])
