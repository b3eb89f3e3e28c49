"""Runs an evaluation: frames over processes and devices, each finished frame kept, what is there already skipped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from pasco_core.errors import ConfigError, InferenceError
from pasco_core.evaluation.frame_record import FrameRecord, record_path
from pasco_core.evaluation.identity import identity_of
from pasco_core.evaluation.plan import EvaluationPlan, RunFile, WorkItem, claim_folder
from pasco_core.evaluation.worker import WorkerSettings, finish, place_to_save, start, work
from pasco_core.jobs import Shard, run_jobs


@dataclass(frozen=True)
class Workforce:
    """Processes and what each may use.

    Args:
        jobs: processes.
        devices: of the processes, in turn; several processes may share one.
        threads: of torch per process. The last digits of a network's output depend on it, so it does not follow from
            the number of processes.
    """

    jobs: int = 1
    devices: tuple[str, ...] = ("cpu",)
    threads: int = 1

    def __post_init__(self) -> None:
        if self.jobs < 1 or self.threads < 1 or not self.devices:
            raise ConfigError(f"Expected jobs, threads and devices to be at least 1 each, got {self}")
        cores = usable_cores()
        if self.threads > 1 and self.jobs * self.threads > cores:
            raise ConfigError(
                f"Expected jobs x threads to be at most the {cores} cores, got {self.jobs} x {self.threads}"
            )


@dataclass(frozen=True)
class Work:
    """An evaluation that has been begun: its folder is claimed.

    Args:
        plan: what to do.
        out: where.
        run: what the folder's ``run.json`` says.
        share: the items of this process's shard.
        todo: those of them that are not done.
        save: folder for the predictions of the last method, or None.
    """

    plan: EvaluationPlan
    out: Path
    run: RunFile
    share: tuple[WorkItem, ...]
    todo: tuple[WorkItem, ...]
    save: Path | None = None

    def missing(self) -> list[WorkItem]:
        """Items of the whole plan that are not done, whoever was to do them."""
        return [item for item in self.plan.items() if not is_done(item, self.plan, self.out)]


def is_done(item: WorkItem, plan: EvaluationPlan, out: Path, save: Path | None = None) -> bool:
    """Whether there is a record, made from the prediction file that is there now, and the prediction is saved.

    Raises:
        DataError: the record is damaged, or the prediction file cannot be read.
    """
    path = record_path(out, item)
    if not path.exists() or (save is not None and not place_to_save(save, item).exists()):
        return False
    now = plan.source.prediction_digest(item.frame)
    return not now or FrameRecord.read(path).prediction == now


def begin(
    plan: EvaluationPlan, label_set: str, out: Path, shard: Shard | None = None, save: Path | None = None
) -> Work:
    """Claims ``out`` and looks up what is left to do.

    Args:
        plan: what to do.
        label_set: name of the dataset's.
        out: folder for the records.
        shard: this process's share; default: all.
        save: folder for the predictions of the last method, or None.

    Raises:
        ConfigError: ``out`` holds results of other settings or another dataset.
        OSError: ``out`` cannot be written.
    """
    identity = identity_of(plan.dataset(), plan.source, plan.frames)
    run = replace(RunFile.of(plan, label_set), identity=identity)
    claim_folder(out, run)
    share = tuple((shard or Shard()).of(plan.items()))
    return Work(plan, out, run, share, tuple(item for item in share if not is_done(item, plan, out, save)), save)


def evaluate(
    work_to_do: Work, workforce: Workforce | None = None, clock: Callable[[], float] = time.perf_counter
) -> Iterator[WorkItem]:
    """The items that are to do, each as its record is written.

    Leaving the iteration early, or an interrupt, keeps every finished record.

    Args:
        work_to_do: from ``begin``.
        workforce: default: one process on the CPU.
        clock: seconds, for the timings.

    Raises:
        PascoError: a frame's files are missing or damaged, the source cannot be opened, or a process died.
    """
    import torch

    workforce = workforce or Workforce()
    settings = WorkerSettings(
        work_to_do.plan, work_to_do.out, work_to_do.run.digest, workforce.threads, work_to_do.save, clock
    )
    jobs = max(1, min(workforce.jobs, len(work_to_do.todo)))
    threads_before = torch.get_num_threads()
    try:
        told = (settings, workforce.devices, get_context("spawn").Value("i", 0))
        for item, _ in run_jobs(work, work_to_do.todo, jobs, start=start, start_arguments=told):
            yield item
    except BrokenExecutor as error:
        raise InferenceError(
            "Expected the processes to live until the end, got one that was killed (out of memory? fewer --jobs need "
            "less); finished frames are kept"
        ) from error
    finally:
        torch.set_num_threads(threads_before)
        finish()


def usable_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_devices(devices: Sequence[str]) -> None:
    """Says at once that a device is not there.

    Raises:
        ConfigError: one is not.
    """
    from pasco_core.device import usable_device

    for device in devices:
        usable_device(device)
