"""A training whose network reads the point features of a frozen WaffleIron."""

from __future__ import annotations

import pytest
import torch
from toy_scenes import ToyScenes, tiny_experiment

from pasco_core.checkpoints import CheckpointHeader, load_checkpoint, save_checkpoint
from pasco_core.checkpoints.architectures import architecture_of_weights
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.systems.pasco.point_inputs import GEOMETRIC_CHANNELS
from pasco_core.systems.waffleiron import WaffleIron, WaffleIronConfig
from training.checkpoints import FINAL, LAST, read_training_checkpoint
from training.fit import Machine, fit

CONFIG = WaffleIronConfig(channels=8, depth=3)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    torch.manual_seed(0)
    state = WaffleIron(CONFIG).state_dict()
    names = SEMANTIC_KITTI.class_names[1:]
    header = CheckpointHeader("waffleiron", architecture_of_weights("waffleiron", state).config, names, "a test")
    path = tmp_path_factory.mktemp("features") / "waffleiron.safetensors"
    save_checkpoint(path, state, header)
    return path


def test_it_validates_and_leaves_only_the_trained_network_on_disk_and_the_features_as_they_were(tmp_path, features):
    channels = GEOMETRIC_CHANNELS + CONFIG.n_classes + CONFIG.channels
    experiment = tiny_experiment(
        network={"in_channels": channels}, data={"features": str(features)}, validation={"every_n_epochs": 1},
        schedule={"kind": "constant", "epochs": 1},
    )
    before = features.read_bytes()
    trained = fit(experiment, tmp_path, machine=Machine("cpu"), dataset=ToyScenes(2))
    assert trained.best is not None
    weights = read_training_checkpoint(tmp_path / LAST)["state_dict"]
    assert {name.partition(".")[0] for name in weights} == {"network"}
    assert set(load_checkpoint(tmp_path / FINAL).state_dict) == {name.partition(".")[2] for name in weights}
    assert features.read_bytes() == before
