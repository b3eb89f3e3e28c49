"""The node with the real network: checkpoints that must not be taken, and a scan that comes out as predicted."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")

import torch
from node_bench import wait_for
from pasco.msg import FrameStatus
from safetensors.torch import save_file

from pasco_core.checkpoints import CheckpointHeader, save_checkpoint
from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI
from pasco_core.data.scan_files import read_scan
from pasco_core.data.simulation import street_scan
from pasco_core.messages.scene_reader import scene_from_messages
from pasco_core.stream.model import load_model
from pasco_core.systems.pasco import PaSCoConfig, Predictor
from pasco_core.systems.pasco.untrained import SMALL, untrained_network
from pasco_core.systems.pasco.weights import expected_shapes

TINY = PaSCoConfig(width=4, query_channels=48, ffn_channels=16, n_queries=6, point_channels=(8, 8, 8))
STARTED = Path("started")
ROOT = Path(__file__).resolve().parents[2]


def header(config: PaSCoConfig = TINY, names=SEMANTIC_KITTI.class_names, system: str = "pasco") -> CheckpointHeader:
    return CheckpointHeader(system=system, config=config.to_dict(), class_names=names)


def weights(config: PaSCoConfig = TINY) -> dict[str, torch.Tensor]:
    return {key: torch.tensor(1) if key.endswith("num_batches_tracked") else torch.ones(shape)
            for key, shape in expected_shapes(config).items()}


class Hostile:
    def __reduce__(self):
        return (Path.touch, (STARTED,))


def missing(path):
    return path


def truncated(path):
    save_checkpoint(path, weights(), header())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def empty(path):
    path.touch()
    return path


def of_another_architecture(path):
    save_file(weights(), path, header(PaSCoConfig(width=8, query_channels=48)).to_metadata())
    return path


def with_another_number_of_classes(path):
    save_file(weights(), path, header(names=KITTI_360.class_names).to_metadata())
    return path


def with_nan_weights(path):
    bad = weights()
    bad[next(key for key in bad if key.endswith(".weight"))].view(-1)[0] = float("nan")
    save_file(bad, path, header().to_metadata())
    return path


def without_a_header(path):
    save_file(weights(), path)
    return path


def a_hostile_pickle(path):
    path.write_bytes(pickle.dumps(Hostile()))
    return path


def a_hostile_torch_file(path):
    path = path.with_suffix(".ckpt")
    torch.save({"state_dict": Hostile()}, path)
    return path


BAD = {
    missing: "nothing there", truncated: "truncated", empty: "safetensors", of_another_architecture: "shape",
    with_another_number_of_classes: "20", with_nan_weights: "NaN", without_a_header: "header",
    a_hostile_pickle: "safetensors", a_hostile_torch_file: ".safetensors",
}


@pytest.fixture(scope="module")
def network():
    """The small network, which takes seconds to make."""
    return untrained_network(SMALL)


@pytest.fixture(scope="module")
def good_file(network, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_checkpoint(path, network.state_dict(), header(SMALL))
    return path


def test_row_24_every_bad_checkpoint_fails_configure_with_its_reason_and_a_good_one_configures_the_same_node(
    bench, tmp_path, monkeypatch, good_file
):
    monkeypatch.chdir(tmp_path)
    node = bench(model_loader=load_model, topics=())
    for make, reason in BAD.items():
        path = make(tmp_path / f"{make.__name__}.safetensors")
        assert node.set_parameter("checkpoint", str(path)).successful
        assert not node.configure(), make.__name__
        error = node.node.health().configure_error
        assert "CheckpointError" in error and reason in error and path.name in error, error
        assert node.lifecycle.state() == "unconfigured" and not STARTED.exists()
    assert node.set_parameter("checkpoint", str(good_file)).successful
    assert node.configure()
    health = node.node.health()
    assert health.trained and health.configure_error == ""
    sha256 = hashlib.sha256(good_file.read_bytes()).hexdigest()
    assert health.checkpoint == f"small.safetensors (SHA-256 {sha256})"


def test_row_25_a_device_that_is_not_there_fails_configure_with_its_name(bench):
    node = bench(model_loader=load_model, parameters={"device": "cuda:99"}, topics=())
    assert not node.configure() and "cuda:99" in node.node.health().configure_error
    for name in ("tpu", "cpu:x"):
        assert node.set_parameter("device", name).successful
        assert not node.configure() and name in node.node.health().configure_error


WITHOUT_A_PACKAGE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from pasco_core.errors import ConfigError
from pasco_core.stream.model import load_model
from pasco_core.settings.node_config import NodeConfig
try:
    load_model(NodeConfig())
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize("package", ["torch", "safetensors", "scipy"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(package):
    command = [sys.executable, "-c", WITHOUT_A_PACKAGE, package]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert answer.startswith(f"Expected the Python package {package} to be installed for {sys.executable}, got none")
    assert answer.endswith("python3 -m pip install 'torch>=2.11' safetensors scipy\n") and answer.count("\n") == 1


def check_against_the_predictor(node, network, points: np.ndarray) -> None:
    """The published voxels and segments are those the predictor gives for the same points."""
    assert node.send_and_wait(points, seconds=90).outcome == FrameStatus.PUBLISHED
    wait_for(lambda: node.received["voxels"] and node.received["segments"])
    scene = scene_from_messages(node.received["voxels"][-1], node.received["segments"][-1])
    expected = Predictor(network)(points)
    np.testing.assert_array_equal(scene.semantics, expected.semantics)
    np.testing.assert_array_equal(scene.panoptic, expected.panoptic)
    assert [s.id for s in scene.segments] == [s.id for s in expected.segments]
    assert np.count_nonzero(scene.semantics) > 1000
    doubt = expected.voxel_uncertainty
    np.testing.assert_allclose(scene.voxel_uncertainty, doubt, atol=0.5 / 254 + 1e-6)


def test_without_a_checkpoint_a_simulated_scan_comes_out_as_the_shipped_network_says(bench):
    node = bench(model_loader=load_model, topics=("voxels", "segments")).start()
    check_against_the_predictor(node, None, street_scan(3))
    assert "shipped network, trained on simulated scans" in node.node.health().checkpoint
    assert node.node.health().trained


def test_a_real_scan_comes_out_of_the_node_as_the_predictor_says(bench, network, good_file, kitti_velodyne):
    scan = read_scan(sorted(kitti_velodyne.glob("*.bin"))[0])
    parameters = {"checkpoint": str(good_file)}
    node = bench(model_loader=load_model, topics=("voxels", "segments"), parameters=parameters).start()
    check_against_the_predictor(node, network, scan.points)
    status = node.statuses[-1]
    assert status.points_in == len(scan) and 20_000 < status.points_in_range < len(scan)
    assert {"decoder", "mask transformer", "ensemble"} <= set(status.stage_names)


@pytest.mark.parametrize(("policy", "n_grids"), [("publish", 1), ("skip", 0)])
def test_a_cloud_with_no_point_in_the_grid_is_never_published_as_free_space(bench, good_file, policy, n_grids):
    parameters = {"checkpoint": str(good_file), "empty_cloud": policy, "warm_up": False}
    node = bench(model_loader=load_model, topics=("voxels",), parameters=parameters).start()
    status = node.send_and_wait(np.full((30, 4), 500.0, np.float32))
    assert status.outcome == FrameStatus.EMPTY and "at least one point in the grid, got none of 30" in status.message
    if n_grids:
        wait_for(lambda: node.received["voxels"])
    assert len(node.received["voxels"]) == n_grids
    for grid in node.received["voxels"]:
        assert all(set(bytes(layer.data)) == {255} for layer in grid.layers)
