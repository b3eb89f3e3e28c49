"""Shares of a list, and work spread over processes."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasco_core.data.frame import Frame
from pasco_core.errors import ConfigError, DataError
from pasco_core.jobs import Shard, run_jobs


@given(st.lists(st.integers()), st.integers(1, 9))
def test_the_shards_of_a_list_hold_every_item_once(items, count):
    shares = [Shard(i, count).of(items) for i in range(count)]
    assert sorted(x for share in shares for x in share) == sorted(items)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "a/b", "3", "-1/4", "1/4/2"])
def test_a_shard_that_makes_no_sense_is_refused(text):
    with pytest.raises(ConfigError, match="Expected a shard"):
        Shard.parse(text)


def test_a_shard_is_written_as_it_is_read():
    assert str(Shard.parse("2/8")) == "2/8"


@pytest.mark.parametrize(
    ("environment", "shard"),
    [
        ({}, Shard(0, 1)),
        ({"RANK": "3", "WORLD_SIZE": "4"}, Shard(3, 4)),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, Shard(1, 2)),
        ({"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "5"}, Shard(2, 4)),
        # Inside an array task, srun's own numbers are those of a single process.
        (
            {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"},
            Shard(1, 3),
        ),
        ({"RANK": "1"}, Shard(0, 1)),
    ],
)
def test_the_share_comes_from_the_launcher(environment, shard):
    assert Shard.from_environment(environment) == shard


def test_a_launcher_with_broken_numbers_is_named():
    with pytest.raises(ConfigError, match="RANK and WORLD_SIZE"):
        Shard.from_environment({"RANK": "one", "WORLD_SIZE": "4"})


# Functions of the standard library, because those of a test file cannot be found in a new process.
_OWN_PROCESS = "__import__('os').getpid()"


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_comes_back_with_its_result(jobs):
    assert sorted(run_jobs(math.factorial, range(20), jobs)) == [(i, math.factorial(i)) for i in range(20)]


def test_one_job_works_in_order_and_in_this_process():
    assert [item for item, _ in run_jobs(math.factorial, [3, 1, 2])] == [3, 1, 2]
    assert {pid for _, pid in run_jobs(eval, [_OWN_PROCESS] * 2)} == {os.getpid()}


def test_several_jobs_work_in_other_processes():
    assert os.getpid() not in {pid for _, pid in run_jobs(eval, [_OWN_PROCESS] * 4, jobs=2)}


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_in_an_item_ends_the_run_with_that_error(jobs):
    with pytest.raises(DataError, match="08 000005"):
        list(run_jobs(Frame.parse, ["08/000004", "08 000005", "08/000006"], jobs))


def test_no_job_at_all_is_refused():
    with pytest.raises(ConfigError, match="jobs to be at least 1, got 0"):
        list(run_jobs(math.factorial, [1], jobs=0))


def test_items_in_a_row_are_done_by_the_same_process():
    items = [f"({i}, {_OWN_PROCESS})" for i in range(40)]
    found = dict(result for _, result in run_jobs(eval, items, jobs=2, together=10))
    assert len(found) == 40 and len(set(found.values())) == 2
    for start in range(0, 40, 10):
        assert len({found[i] for i in range(start, start + 10)}) == 1


def test_rows_are_cut_where_some_process_would_have_nothing_to_do():
    processes = [pid for _, pid in run_jobs(eval, [_OWN_PROCESS] * 4, jobs=2, together=50)]
    assert sorted(processes.count(pid) for pid in set(processes)) == [2, 2]


_SLOW_RUN = """
import signal, sys, time
from pathlib import Path
from pasco_core.jobs import run_jobs

def work(path):
    path.with_suffix(".begun").touch()
    time.sleep(0.4)
    path.with_suffix(".done").touch()

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        for _ in run_jobs(work, [Path(sys.argv[1]) / str(i) for i in range(40)], int(sys.argv[2]), together=20):
            pass
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs the signals of POSIX")
def test_an_interrupt_from_the_keyboard_ends_the_run_with_the_items_in_progress(tmp_path):
    script, folder = tmp_path / "slow_run.py", tmp_path / "items"
    script.write_text(_SLOW_RUN)
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder), "2"], start_new_session=True, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        while len(list(folder.glob("*.done"))) < 2:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        begun = len(list(folder.glob("*.begun")))
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the command and all its processes
        _, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 130 and errors == ""
    assert len(list(folder.glob("*.begun"))) <= begun + 2  # one more each, taken up before the signal came
    assert len(list(folder.glob("*.done"))) == len(list(folder.glob("*.begun")))  # what was in progress is whole


class _Stream:
    """Numbers that are made as they are asked for, fewer than announced."""

    def __init__(self) -> None:
        self.made = 0

    def __len__(self) -> int:
        return 1000

    def __iter__(self):
        for number in range(40):
            self.made += 1
            yield number


@pytest.mark.parametrize("jobs", [1, 2])
def test_items_of_a_stream_are_taken_as_they_are_needed_and_may_be_fewer_than_announced(jobs):
    stream = _Stream()
    results = run_jobs(math.factorial, stream, jobs)
    first = [next(results)]
    assert stream.made <= 3 * jobs
    assert sorted(item for item, _ in [*first, *results]) == list(range(40))
