"""Several processes that train together: figures that reduce right with uneven shares, and equal networks."""

from __future__ import annotations

import os
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
from training.validation import gather, headline


@pytest.mark.timeout(200)
def test_uneven_shares_of_two_processes_give_the_figures_of_one_bit_by_bit(tmp_path):
    expected = repr(metrics_of(list(range(N_FRAMES))).compute())
    torch.multiprocessing.spawn(reduce_in_process, args=(2, str(tmp_path)), nprocs=2)
    assert [(tmp_path / f"rank_{rank}.txt").read_text() for rank in range(2)] == [expected, expected]


def test_one_process_alone_keeps_its_own_figures():
    metrics = [SceneMetrics(SEMANTIC_KITTI)]
    assert gather(metrics, SEMANTIC_KITTI) is metrics


def test_headline_figures_of_nothing_are_zero_and_of_the_truth_itself_hundred():
    empty = headline(SceneMetrics(SEMANTIC_KITTI).compute())
    assert all(value == 0.0 for value in empty.values())
    figures = headline(metrics_of([0]).compute())
    assert figures["IoU"] == figures["PQ"] == figures["PQ_dagger"] == 100.0
    assert figures["mIoU"] == pytest.approx(100 * 3 / 19, abs=1e-3), "three of nineteen classes are there"


def test_fewer_validation_frames_than_devices_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="at least 4 validation frames, one per device, got 1"):
        fit(tiny_experiment(), tmp_path, machine=Machine("cpu", devices=4), dataset=ToyScenes(2))


@pytest.mark.timeout(280)
def test_two_processes_stay_the_same_network_and_validate_every_frame_once(tmp_path):
    script = Path(__file__).with_name("two_processes_script.py")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{script.parent}", "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, str(script), str(tmp_path)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    lines = dict(line.split(": ", 1) for line in result.stdout.splitlines() if line.startswith("rank"))
    assert set(lines) == {"rank 0", "rank 1"}
    assert lines["rank 0"] == lines["rank 1"], "weights and figures"
    assert "frames 3" in lines["rank 0"]
    assert read_training_checkpoint(tmp_path / LAST)["global_step"] == 2
