"""Several processes that train together: figures that reduce right with uneven shares, and equal networks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch.multiprocessing
from shifted_scenes import N_FRAMES, metrics_of, reduce_in_process
from toy_scenes import ToyScenes, tiny_experiment

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import ConfigError
from pasco_core.metrics import SceneMetrics
from training.checkpoints import LAST, read_training_checkpoint
from training.fit import Machine, fit
from training.launcher import check_launcher
from training.validation import gather, headline

SCRIPT = Path(__file__).with_name("two_processes_script.py")
ROOT = Path(__file__).parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


@pytest.mark.timeout(200)
def test_uneven_shares_of_two_processes_give_the_figures_of_one_bit_by_bit(tmp_path):
    expected = repr(metrics_of(list(range(N_FRAMES))).compute())
    torch.multiprocessing.spawn(reduce_in_process, args=(2, str(tmp_path)), nprocs=2)
    assert [(tmp_path / f"rank_{rank}.txt").read_text() for rank in range(2)] == [expected, expected]


def test_one_process_alone_keeps_its_own_figures():
    metrics = [SceneMetrics(SEMANTIC_KITTI)]
    assert gather(metrics, SEMANTIC_KITTI) is metrics


def test_headline_figures_of_nothing_are_the_worst_and_of_the_truth_itself_hundred():
    empty = headline(SceneMetrics(SEMANTIC_KITTI).compute())
    assert empty.pop("voxel_ECE") == 1.0, "no calibration to speak of is not a perfect one"
    assert all(value == 0.0 for value in empty.values())
    figures = headline(metrics_of([0]).compute())
    assert figures["IoU"] == figures["PQ"] == figures["PQ_dagger"] == 100.0
    assert figures["mIoU"] == pytest.approx(100 * 3 / 19, abs=1e-3), "three of nineteen classes are there"


def test_fewer_validation_frames_than_devices_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="at least 4 validation frames, one per device, got 1"):
        fit(tiny_experiment(), tmp_path, machine=Machine("cpu", devices=4), dataset=ToyScenes(2))


def torchrun(folder: Path, *options: str) -> list[list[str]]:
    return [[*TORCHRUN, "--standalone", "--nproc-per-node", "2", str(SCRIPT), str(folder), "2", "1", *options]]


def torchrun_on_two_machines(folder: Path) -> list[list[str]]:
    port = str(free_port())
    meeting = ["--nnodes", "2", "--nproc-per-node", "1", "--master-addr", "127.0.0.1", "--master-port", port]
    return [
        [*TORCHRUN, *meeting, "--node-rank", str(node), str(SCRIPT), str(folder), "1", "2"] for node in range(2)
    ]


TASK = {"SLURM_PROCID": "0", "SLURM_JOB_NAME": "train"}


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"LOCAL_WORLD_SIZE": "4"}, r"--devices to be 4, as many as the launcher starts \(LOCAL_WORLD_SIZE\), got 2"),
        ({"LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "1"}, r"--nodes to be 1, .* \(GROUP_WORLD_SIZE\), got 3"),
        ({**TASK, "SLURM_NTASKS_PER_NODE": "1"}, r"--devices to be 1, .* \(SLURM_NTASKS_PER_NODE\), got 2"),
        ({**TASK, "SLURM_NNODES": "2"}, r"--nodes to be 2, .* \(SLURM_NNODES\), got 3"),
        ({**TASK, "SLURM_NTASKS": "1"}, r"--devices times --nodes to be 1, .* \(SLURM_NTASKS\), got 6"),
        ({**TASK, "SLURM_NTASKS": "6"}, "started with --ntasks-per-node, got --ntasks alone"),
        ({}, "--nodes 3 to be started by torchrun or SLURM on each machine, got neither"),
        ({"LOCAL_WORLD_SIZE": "abc"}, "LOCAL_WORLD_SIZE to be a whole number, got 'abc'"),
    ],
)
def test_other_processes_than_the_launcher_starts_are_refused(environment, message):
    with pytest.raises(ConfigError, match=message):
        check_launcher(2, 3, environment)


@pytest.mark.parametrize(
    "environment",
    [
        {"MASTER_ADDR": "10.0.0.1", "NODE_RANK": "1"},
        {"LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "3", "WORLD_SIZE": "6"},
        {**TASK, "SLURM_NTASKS": "6", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "3"},
        {**TASK, "SLURM_NTASKS": "3", "SLURM_NTASKS_PER_NODE": "1", "LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "3"},
    ],
    ids=["started by hand", "torchrun", "srun", "torchrun within srun"],
)
def test_what_the_launcher_starts_is_taken(environment):
    check_launcher(2, 3, environment)


def test_one_machine_needs_no_launcher_nor_an_interactive_slurm_session():
    check_launcher(2, 1, {})
    check_launcher(2, 1, {**TASK, "SLURM_JOB_NAME": "interactive", "SLURM_NTASKS_PER_NODE": "9"})


def slurm_on_two_machines(folder: Path) -> list[list[str]]:
    """What srun sets for one task on each of two machines."""
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1",
           "SLURM_NNODES": "2", "SLURM_NODELIST": "127.0.0.1", "MASTER_PORT": str(free_port())}
    tasks = [{**job, "SLURM_PROCID": str(i), "SLURM_NODEID": str(i), "SLURM_LOCALID": "0"} for i in range(2)]
    command = [sys.executable, str(SCRIPT), str(folder), "1", "2"]
    return [["env", *(f"{name}={value}" for name, value in task.items()), *command] for task in tasks]


@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    "launcher",
    [
        torchrun,
        pytest.param(torchrun_on_two_machines, marks=pytest.mark.soak),
        pytest.param(slurm_on_two_machines, marks=pytest.mark.soak),
    ],
)
def test_two_processes_stay_the_same_network_and_validate_every_frame_once(tmp_path, launcher):
    lines = reports(launcher(tmp_path))
    assert lines["rank 0"] == lines["rank 1"], "weights and figures"
    assert "frames 3" in lines["rank 0"]
    assert read_training_checkpoint(tmp_path / LAST)["global_step"] == 2


@pytest.mark.soak
@pytest.mark.timeout(280)
def test_a_process_whose_scan_has_one_point_keeps_up_with_the_others(tmp_path):
    lines = reports(torchrun(tmp_path, "lonely"))
    assert lines["rank 0"] == lines["rank 1"]
    assert "nan" not in lines["rank 0"]


def reports(commands: list[list[str]]) -> dict[str, str]:
    """What the two processes printed at the end, by name."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{SCRIPT.parent}", "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, env=environment, **pipes) for command in commands]
    lines: dict[str, str] = {}
    for process in processes:
        stdout, stderr = process.communicate(timeout=250)
        assert process.returncode == 0, stderr[-3000:]
        lines |= dict(line.split(": ", 1) for line in stdout.splitlines() if line.startswith("rank"))
    assert set(lines) == {"rank 0", "rank 1"}
    return lines


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
