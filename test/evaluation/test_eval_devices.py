"""``pasco eval`` on several devices: every one gets a process, and the numbers are those of one."""

from __future__ import annotations

import argparse

import pytest

from pasco_core.cli.eval_options import declare, workforce
from pasco_core.evaluation.frame_record import FrameRecord


@pytest.mark.soak
def test_two_devices_give_the_bits_of_one(run, tmp_path):
    """The shipped network, in two processes on a device each (here twice the same), and in this process."""
    for devices, out in (("cpu", "one"), ("cpu,cpu", "two")):
        code, _, err = run("--devices", devices, "--limit", 2, "--no-report", "--out", out)
        assert code == 0, err
    assert (tmp_path / "one" / "metrics.json").read_bytes() == (tmp_path / "two" / "metrics.json").read_bytes()
    records = [FrameRecord.read(path) for path in sorted((tmp_path / "two" / "frames").rglob("*.json"))]
    assert [record.first for record in records] == [True, True]  # of two processes


@pytest.mark.parametrize(("options", "jobs", "devices"), [
    ([], 1, ("cpu",)),
    (["--devices", "cuda:0,cuda:1"], 2, ("cuda:0", "cuda:1")),
    (["--devices", "cuda:0, cuda:0"], 2, ("cuda:0", "cuda:0")),  # two processes on one GPU
    (["--devices", "cuda:0,cuda:1", "--jobs", "4"], 4, ("cuda:0", "cuda:1")),
    (["--device", "cuda:1", "--jobs", "3"], 3, ("cuda:1",)),
])
def test_every_device_that_is_named_gets_a_process(options, jobs, devices):
    parser = argparse.ArgumentParser()
    declare(parser)
    force = workforce(parser.parse_args(["dataset", *options]), environment={})
    assert (force.jobs, force.devices, force.threads) == (jobs, devices, 1)
