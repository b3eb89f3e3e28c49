"""The network that comes with the package: what its file says, and what it is good for on towns it has never seen."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from pasco_core import shipped
from pasco_core.checkpoints import load_checkpoint
from pasco_core.data.frame import UNKNOWN
from pasco_core.data.simulation import SimulatedDrive
from pasco_core.evaluation.baselines import majority_voxels, nearest_labels
from pasco_core.geometry import KITTI_GRID
from pasco_core.metrics import CompletionMetrics
from pasco_core.systems.pasco import Predictor

TOWN = 990_001  # trained on 70 000 to 70 010


@pytest.fixture(scope="module")
def frame():
    """Scan and truth of a frame of an unseen town."""
    drive = SimulatedDrive(TOWN)
    return drive.scan(100), drive.truth(100)


@pytest.fixture(scope="module")
def scenes(frame):
    return Predictor().predict_all(frame[0].points)


def completion(predicted: np.ndarray, truth, labels):
    metrics = CompletionMetrics(labels.class_names)
    metrics.update(predicted, truth.semantics)
    return metrics.compute()


def test_the_file_is_small_and_says_what_it_was_trained_on():
    assert shipped.CHECKPOINT.stat().st_size <= 16 * 2**20
    header = load_checkpoint(shipped.CHECKPOINT).header
    assert header.config["n_subnets"] >= 2
    assert any("simulated" in note for note in header.notes)


def test_it_completes_an_unseen_town_better_than_spreading_the_true_labels_of_the_scan(frame, scenes):
    scan, truth = frame
    labels = scenes[-1].labels
    spread = nearest_labels(majority_voxels(scan.points, scan.semantics, KITTI_GRID, labels), 2.0)
    baseline, ours = (completion(s, truth, labels) for s in (spread, scenes[-1].semantics))
    assert ours.iou > baseline.iou + 0.1
    assert ours.miou > baseline.miou


def test_the_surer_it_is_of_a_voxel_the_rarer_it_is_wrong(frame, scenes):
    truth, scene = frame[1], scenes[-1]
    counted = (truth.semantics != UNKNOWN) & (scene.semantics != 0)
    wrong = (scene.semantics != truth.semantics)[counted]
    confidence = 1.0 - scene.voxel_uncertainty[counted]
    bins = np.digitize(confidence, [0.4, 0.6, 0.8])
    rates = [wrong[bins == i].mean() for i in range(4)]
    assert all(a > b for a, b in pairwise(rates))


def test_the_ensemble_is_better_calibrated_than_each_of_its_subnets(frame, scenes):
    """By the negative log likelihood of all known voxels, which a single overconfident subnet pays for."""
    known = (frame[1].semantics != UNKNOWN).ravel()
    classes = frame[1].semantics.ravel()

    def loss(scene) -> float:
        p_true = (classes == 0).astype(np.float64)
        p_true[scene.probability_voxels] = scene.probabilities[
            np.arange(len(scene.probability_voxels)), np.minimum(classes[scene.probability_voxels], 19)
        ]
        return float(-np.log(p_true[known] + 1e-12).mean())

    *subnets, ensemble = (loss(scene) for scene in scenes)
    assert ensemble < min(subnets)


def test_the_same_scan_gives_the_same_bits(frame, scenes):
    again = Predictor()(frame[0].points)
    assert np.array_equal(again.semantics, scenes[-1].semantics)
    assert np.array_equal(again.probabilities, scenes[-1].probabilities)
