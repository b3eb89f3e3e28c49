"""The dense U-Net that PaSCo is compared with: what it reads, how large it is, that it learns by the same losses."""

from __future__ import annotations

import numpy as np
import torch
from toy_scenes import AREA, ToyScenes, tiny_experiment

from pasco_core import shipped
from pasco_core.checkpoints import load_checkpoint
from pasco_core.data.frame import UNKNOWN
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.evaluation.dense_baseline import DenseUNetPredictor
from pasco_core.metrics import SceneMetrics
from pasco_core.systems.dense_unet import DenseUNet, voxel_features
from pasco_core.systems.pasco import load_network
from training.dense_baseline import dense_logits, train_dense
from training.items import TrainingItems

RECIPE = {
    "augmentation": {"fixed_views": True},
    "schedule": {"kind": "one_cycle", "warmup": 10},
    "optimiser": {"learning_rate": 1e-2, "gradient_clip": 1.0},
    "ema_decay": 0.8,
}


def n_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_it_has_as_many_parameters_as_the_shipped_network():
    ours = n_parameters(load_network(load_checkpoint(shipped.CHECKPOINT).state_dict))
    assert abs(n_parameters(DenseUNet(20)) / ours - 1) < 0.02


def test_each_voxel_reads_the_mean_of_its_points():
    rng = np.random.default_rng(0)
    voxels = rng.integers(-1, 5, (300, 3))
    features = rng.normal(size=(300, 8)).astype(np.float32)
    volume = voxel_features(
        torch.from_numpy(features), torch.from_numpy(voxels), torch.tensor([0, 0, 0]), (4, 3, 2)
    )[0].numpy()
    for x, y, z in np.ndindex(4, 3, 2):
        here = features[(voxels == (x, y, z)).all(1)]
        occupied, *means = volume[:, z, x, y]
        assert occupied == (len(here) > 0)
        expected = here.mean(0) / (1, 25, 0.1, 0.1, 0.1, 25, 25, 2) if len(here) else np.zeros(8)
        np.testing.assert_allclose(means, expected, rtol=1e-4, atol=1e-5)


def test_the_losses_see_the_logits_of_exactly_the_known_cells():
    scenes, experiment = ToyScenes(1), tiny_experiment(**RECIPE, network={"n_subnets": 1})
    batch = TrainingItems(scenes, scenes.frames("train"), experiment)[(0, 0)]
    target, network = batch.targets[0], DenseUNet(20, (4, 4, 4, 4)).eval()
    for stride, (cells,) in dense_logits(network, batch, target).items():
        places = (cells.coords[:, 1:] - target.origin) // stride
        known = torch.zeros_like(target.semantics[stride], dtype=torch.bool)
        known[tuple(places.long().T)] = True
        assert torch.equal(known, target.semantics[stride] != UNKNOWN)
        assert cells.coordinates.stride == stride


def test_it_learns_one_scan_by_the_recipe_of_pasco_and_answers_as_every_predictor():
    scenes = ToyScenes(1)
    network = train_dense(tiny_experiment(**RECIPE), scenes, steps=60, widths=(16, 16, 16, 16))
    frame = scenes.frames("train")[0]
    scene, truth = DenseUNetPredictor(network, SEMANTIC_KITTI)(scenes.points(frame)), scenes.truth(frame)
    metrics = SceneMetrics(SEMANTIC_KITTI)
    metrics.update(scene, truth)
    figures = metrics.compute()
    assert figures["completion"]["standard"]["miou"] > 0.7
    assert figures["panoptic"]["standard"]["all"]["pq_dagger"] > 0.5
    assert np.allclose(scene.probabilities.sum(1), 1, atol=1e-5)
    assert (scene.probabilities.argmax(1).reshape(scene.semantics.shape)[AREA] == scene.semantics[AREA]).all()


def test_the_same_seed_trains_the_same_network():
    scenes = ToyScenes(2)
    first, second = (train_dense(tiny_experiment(**RECIPE), scenes, 2, (4, 4, 4, 4)).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
