"""Many independent items, one function: spread over processes here and over machines by existing launchers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from pasco_core.errors import ConfigError

Item = TypeVar("Item")
Result = TypeVar("Result")
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


def run_jobs(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    jobs: int = 1,
    *,
    start: Callable[..., None] | None = None,
    start_arguments: tuple = (),
) -> Iterator[tuple[Item, Result]]:
    """``(item, function(item))`` of every item, as they are done; with one job in this process, in order.

    Processes are spawned, not forked: a fork after torch or Embree has started threads can hang. The first error ends
    the run after the items that are already being worked on; so does leaving the iteration early.

    Args:
        function: picklable when ``jobs`` > 1.
        items: picklable.
        jobs: processes.
        start: called once in each process before its first item, with ``start_arguments``.
        start_arguments: for ``start``.

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
    pool = ProcessPoolExecutor(
        min(jobs, len(items)), mp_context=get_context("spawn"), initializer=start, initargs=start_arguments
    )
    try:
        yield from _as_completed(pool, function, items, ahead=2 * jobs)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _as_completed(
    pool: ProcessPoolExecutor, function: Callable[[Item], Result], items: Sequence[Item], ahead: int
) -> Iterator[tuple[Item, Result]]:
    """Keeps ``ahead`` items submitted, so that a list of millions costs no memory."""
    waiting: dict[Future[Result], Item] = {}
    left = iter(items)
    while True:
        for item in islice(left, max(0, ahead - len(waiting))):
            waiting[pool.submit(function, item)] = item
        if not waiting:
            return
        done, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            yield waiting.pop(future), future.result()
