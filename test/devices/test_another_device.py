"""Networks and trainings on a device other than the CPU: no tensor is left behind, the results are the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch.utils.backend_registration

HERE = Path(__file__).resolve().parent

pytestmark = [
    pytest.mark.skipif(
        not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"),
        reason=f"PyTorch {torch.__version__} cannot stand in for a device in Python",
    ),
    pytest.mark.timeout(400),
]


FREQUENT = ("mixing", "shipped network", "training")
RARE = (
    "agreement of subnets", "masks, heavy decoder", "point features", "training without keeping the truth",
    "dense baseline", "GPU script",
)


def results_of(names: tuple[str, ...]) -> dict:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE)])}
    command = [sys.executable, str(HERE / "on_stand_in.py"), *names]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def frequent() -> dict:
    return results_of(FREQUENT)


@pytest.fixture(scope="module")
def rare() -> dict:
    return results_of(RARE)


def assert_same_scene(found: dict) -> None:
    assert found["on_device"]
    assert found["occupied"] > 200
    assert (found["voxels"], found["segments"]) == (0, 0)
    assert found["uncertainty"] < 1e-5


def assert_same_training(found: dict) -> None:
    assert found["terms"] > 20 and found["learnt"]
    assert found["difference"] < 1e-5


def test_the_stand_in_refuses_what_cuda_refuses(frequent):
    assert frequent["mixing"] == {
        "refused": ["MixedDevices", "MixedDevices", "TypeError"], "sum": [2.0, 2.0, 2.0], "device": "standin:0",
    }


def test_the_shipped_network_gives_the_scene_of_the_cpu(frequent):
    assert_same_scene(frequent["shipped network"])


def test_a_training_step_gives_the_losses_of_the_cpu(frequent):
    assert_same_training(frequent["training"])


@pytest.mark.soak
@pytest.mark.parametrize("case", ["agreement of subnets", "masks, heavy decoder", "point features"])
def test_other_networks_give_the_scene_of_the_cpu(rare, case):
    assert_same_scene(rare[case])


@pytest.mark.soak
def test_a_training_whose_selection_drops_true_voxels_gives_the_losses_of_the_cpu(rare):
    assert_same_training(rare["training without keeping the truth"])


@pytest.mark.soak
def test_the_dense_baseline_is_trained_to_the_weights_of_the_cpu(rare):
    assert rare["dense baseline"]["difference"] < 1e-5


@pytest.mark.soak
def test_the_gpu_scripts_checks_of_operations_and_goldens_pass(rare):
    assert len(rare["GPU script"]["operations"]) == 6
    assert max(rare["GPU script"]["operations"].values()) < 1e-9
    assert max(rare["GPU script"]["goldens"].values()) < 1e-3
