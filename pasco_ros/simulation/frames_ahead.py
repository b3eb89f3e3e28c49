"""Frames of the drive, computed ahead by processes of their own; knows no ROS."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from pasco_core.errors import PascoError
from pasco_ros.simulation.car import Car, CarFrame, CarPlan


class FramesAhead:
    """The frames of a drive in order, some of them ready before they are asked for.

    Args:
        plan: the car.
        numbers: of the frames, may be endless.
        workers: processes; 0: one less than there are cores.
        ahead: frames that are computed or wait at most.
    """

    def __init__(self, plan: CarPlan, numbers: Iterator[int], workers: int = 0, ahead: int = 20):
        self._numbers = numbers
        self._ahead = ahead
        workers = workers or max(1, (os.cpu_count() or 2) - 1)
        self._pool = ProcessPoolExecutor(
            workers, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(plan,)
        )
        self._frames: deque[Future[CarFrame]] = deque()
        self._fill()

    def over(self) -> bool:
        """Whether there is no further frame."""
        return not self._frames

    def ready(self) -> bool:
        """Whether the next frame can be taken at once."""
        return bool(self._frames) and self._frames[0].done()

    def take(self) -> CarFrame:
        """The next frame, waited for if need be.

        Raises:
            PascoError: it could not be computed, or a process that computes ended.
        """
        try:
            frame = self._frames.popleft().result()
        except BrokenProcessPool as error:
            raise PascoError(f"Expected the processes that simulate to go on running, got: {error}") from error
        self._fill()
        return frame

    def close(self) -> None:
        """End the processes; frames that are not taken are lost."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _fill(self) -> None:
        for number in itertools.islice(self._numbers, self._ahead - len(self._frames)):
            self._frames.append(self._pool.submit(_frame, number))


def numbers_of(start: int, frames: int, loop: bool) -> Iterator[int]:
    """Numbers of the frames of a drive: ``frames`` from ``start``, once or in a loop, or on and on where it is 0."""
    if frames == 0:
        return itertools.count(start)
    numbers = range(start, start + frames)
    return itertools.cycle(numbers) if loop else iter(numbers)


_car: Car | None = None  # of the process


def _begin(plan: CarPlan) -> None:
    """In a process that computes: the owner ends it, and it does not outlive the owner."""
    global _car
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()
    _car = Car(plan)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def _frame(number: int) -> CarFrame:
    if _car is None:
        raise PascoError("Expected the process to have a car, got none")
    return _car.frame(number)
