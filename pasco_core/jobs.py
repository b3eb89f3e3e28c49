"""Many independent items, one function: spread over processes here and over machines by existing launchers."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from ctypes import c_bool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import Any, Protocol, TypeVar

from pasco_core.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")
_Given = TypeVar("_Given", covariant=True)
_LAUNCHERS = (  # number and count of this process, and the number of the first, as launchers tell them
    ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    ("RANK", "WORLD_SIZE", None),  # torchrun
    ("SLURM_PROCID", "SLURM_NTASKS", None),
)


@dataclass(frozen=True)
class Shard:
    """One of ``count`` equal shares of a list: every ``count``-th item from ``index`` (0-based) on.

    >>> Shard(1, 3).of([10, 11, 12, 13, 14])
    [11, 14]
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 <= self.index < self.count:
            raise ConfigError(f"Expected a shard i/n to have 1 <= i <= n, got {self.index + 1}/{self.count}")

    def __str__(self) -> str:
        return f"{self.index + 1}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From ``i/n`` with i from 1.

        >>> Shard.parse("2/8")
        Shard(index=1, count=8)
        """
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal()):
            raise ConfigError(f"Expected a shard to be written i/n, such as 2/8, got {text!r}")
        return cls(int(index) - 1, int(count))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Shard:
        """This process's share under a SLURM array, torchrun or srun; everything where there is none of them.

        Raises:
            ConfigError: the launcher's variables are not numbers that fit together.
        """
        environment = os.environ if environment is None else environment
        for number, count, first in _LAUNCHERS:
            if number in environment and count in environment:
                try:
                    start = int(environment.get(first, "0")) if first else 0
                    return cls(int(environment[number]) - start, int(environment[count]))
                except ValueError as error:
                    value = f"{environment[number]!r} and {environment[count]!r}"
                    raise ConfigError(f"Expected {number} and {count} to be numbers, got {value}") from error
        return cls()

    def of(self, items: Sequence[Item]) -> list[Item]:
        """This share of ``items``."""
        return list(items[self.index :: self.count])


class Countable(Protocol[_Given]):
    """A list, or anything else with a known number of items that can be gone through once."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[_Given]: ...


def run_jobs(
    function: Callable[[Item], Result],
    items: Countable[Item],
    jobs: int = 1,
    *,
    start: Callable[..., None] | None = None,
    start_arguments: tuple = (),
    together: int = 1,
) -> Iterator[tuple[Item, Result]]:
    """``(item, function(item))`` of every item, as they are done; with one job in this process, in order.

    Processes are spawned, not forked: a fork after torch or Embree has started threads can hang. The first error ends
    the run after the items that are already being worked on; so do an interrupt and leaving the iteration early.

    Args:
        function: picklable when ``jobs`` > 1.
        items: picklable; taken one after the other as processes need them, so that those of a long stream need not be
            in memory together. There may turn out to be fewer of them.
        jobs: processes.
        start: called once in each process before its first item, with ``start_arguments``.
        start_arguments: for ``start``.
        together: so many items in a row are done by the same process, which can keep what they share; fewer where
            some process would have nothing to do.

    Raises:
        ConfigError: ``jobs`` is not positive.
    """
    if jobs < 1:
        raise ConfigError(f"Expected jobs to be at least 1, got {jobs}")
    if jobs == 1 or len(items) < 2:
        if start is not None:
            start(*start_arguments)
        for item in items:
            yield item, function(item)
        return
    crew = _Crew(min(jobs, len(items)), start, start_arguments)
    try:
        yield from crew.results(function, items, together)
    finally:
        crew.stop()


class _Crew:
    """Processes that are given items one by one, each of them its own row of items."""

    def __init__(self, size: int, start: Callable[..., None] | None, start_arguments: tuple):
        context = get_context("spawn")
        self._stop = context.RawValue(c_bool, False)
        told = (self._stop, start, start_arguments)
        self._pools = [
            ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=told) for _ in range(size)
        ]

    def results(
        self, function: Callable[[Item], Result], items: Countable[Item], together: int
    ) -> Iterator[tuple[Item, Result]]:
        """Keeps two items submitted to each process, and one when they run short, so that all end at the same time."""
        size = max(1, min(together, -(-len(items) // len(self._pools))))
        source = iter(items)
        rows: Iterator[deque[Item]] = iter(lambda: deque(islice(source, size)), deque())
        mine: list[deque[Item]] = [deque() for _ in self._pools]
        waiting: dict[Future[Result], tuple[int, Item]] = {}
        busy, left = [0] * len(self._pools), len(items)
        while True:
            for _ in range(2):  # first one each, then one more each
                for worker, pool in enumerate(self._pools):
                    mine[worker] = mine[worker] or next(rows, mine[worker])
                    if mine[worker] and busy[worker] < (2 if left > 2 * len(self._pools) else 1):
                        item = mine[worker].popleft()
                        with _interrupts_held_back():  # a new process inherits that, and never sees one
                            waiting[pool.submit(_do, function, item)] = worker, item
                        busy[worker], left = busy[worker] + 1, left - 1
            if not waiting:
                return
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                worker, item = waiting.pop(future)
                busy[worker] -= 1
                yield item, future.result()

    def stop(self) -> None:
        """Ends the processes after the items that are being worked on."""
        self._stop.value = True
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in self._pools:
            pool.shutdown(wait=True)


_stopped: Any = None
"""In a process of a crew: what says that no further item is to be begun."""


def _begin(stopped: Any, start: Callable[..., None] | None, start_arguments: tuple) -> None:
    """In a new process. An interrupt from the keyboard goes to all processes; only the first one answers it."""
    global _stopped
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _stopped = stopped
    if start is not None:
        start(*start_arguments)


def _do(function: Callable[[Item], Result], item: Item) -> Result:
    if _stopped is not None and _stopped.value:
        raise InterruptedError("Expected no further item after the end of a run, got one")  # nobody reads it
    return function(item)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """SIGINT waits until the end, where the system can do that."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
