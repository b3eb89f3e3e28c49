"""Shares of a list, and work spread over processes."""

from __future__ import annotations

import math
import os

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
