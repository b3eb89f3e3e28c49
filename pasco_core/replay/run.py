"""Runs a replay: clouds over processes, each finished one kept, the output bag put together as they come in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pasco_core.data.scan_statistics import ScanStatistics
from pasco_core.errors import InferenceError
from pasco_core.jobs import run_jobs
from pasco_core.replay.assembly import Assembly
from pasco_core.replay.clouds import CloudStream
from pasco_core.replay.outputs import CLOUDS_PER_FILE, bag_parts, has_kept
from pasco_core.replay.plan import ReplayPlan, claim
from pasco_core.replay.record import CloudRecord, record_path
from pasco_core.replay.virtual_node import Fate
from pasco_core.replay.worker import WorkerTask, finish, start, work
from pasco_core.stream.outcomes import Outcome

_WITH_MESSAGES = ("EMPTY_UNKNOWN",)


@dataclass
class ReplayRun:
    """A replay that has been begun: its folder is claimed.

    Args:
        plan: what to do.
        out: where.
        done: numbers of the clouds that are done already.
        damage: what is wrong with the bag; known after the run.
        remarks: what was wrong with its messages beside the clouds; known after the run.
        clouds_read: clouds that were read, with those that ``every`` leaves out; known after the run.
        statistics: of the first cloud with points; known after the run.
        fates: what became of each cloud, in order; known after the run.
    """

    plan: ReplayPlan
    out: Path
    done: frozenset[int]
    damage: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    clouds_read: int = 0
    statistics: ScanStatistics | None = None
    fates: list[Fate] = field(default_factory=list)

    @property
    def todo(self) -> int:
        """Clouds that are to be computed."""
        return len(self.plan.numbers()) - len(self.done)


def begin(plan: ReplayPlan, out: Path) -> ReplayRun:
    """Claims ``out`` and looks up what is left to do.

    Raises:
        ConfigError: ``out`` holds something else.
        DataError: a record of an earlier run is damaged.
        OSError: ``out`` cannot be written.
    """
    again = claim(out, plan)
    done = frozenset(number for number in plan.numbers() if _is_done(plan, out, number)) if again else frozenset()
    return ReplayRun(plan, out, done)


def replay(run: ReplayRun, jobs: int = 1, clock: Callable[[], float] = time.perf_counter) -> Iterator[CloudRecord]:
    """The records of the clouds that are to be computed, each as it is done.

    Leaving the iteration early, or an interrupt, keeps every finished cloud. At the end the output bag is whole.

    Args:
        run: from ``begin``.
        jobs: processes.
        clock: seconds, for the timings.

    Raises:
        PascoError: bag, network or truth cannot be read, or a process died.
        OSError: the folder is not writable or full.
    """
    stream = CloudStream(run.plan, run.done, clock)
    assembly = Assembly(run.plan, run.out, run.done)
    task = WorkerTask(run.plan, run.out, clock)
    try:
        for _, record in run_jobs(work, stream, jobs, start=start, start_arguments=(task,)):
            assembly.add(record)
            yield record
    except BrokenExecutor as error:
        raise InferenceError(
            "Expected the processes to live until the end, got one that was killed (out of memory? fewer --jobs need "
            "less); finished clouds are kept"
        ) from error
    finally:
        finish()
    run.damage, run.remarks, run.clouds_read = stream.damage, stream.remarks, stream.clouds_read
    run.statistics, run.fates = stream.statistics, assembly.end()


def _is_done(plan: ReplayPlan, out: Path, number: int) -> bool:
    """Whether there is a record, and its messages are kept or in the bag already."""
    if not record_path(out, number).is_file():
        return False
    parts = bag_parts(out)
    if parts.is_whole or parts.has(plan.numbers().index(number) // CLOUDS_PER_FILE) or has_kept(out, number):
        return True
    verdict = CloudRecord.read(out, number).verdict
    return verdict.outcome != Outcome.PUBLISHED and verdict.code not in _WITH_MESSAGES
