"""The benchmark of the metrics measures the same result twice, and says so where torchmetrics is missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pasco_core.benchmark.metrics import EVERYTHING, ORACLE, OURS, made_up_scene, measure_metrics
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.geometry import VoxelGrid

SMALL = VoxelGrid((0.0, 0.0, 0.0), 0.2, (32, 32, 8))


@pytest.fixture
def clock():
    ticks = iter(range(10_000))
    return lambda: float(next(ticks))


def test_ours_and_torchmetrics_agree_on_the_measured_scene(clock):
    pytest.importorskip("torchmetrics")
    times = measure_metrics(clock, repeats=1, grid=SMALL)
    assert times.difference < 1e-6
    assert times.seconds == {OURS: 1.0, EVERYTHING: 1.0, ORACLE: 1.0} and times.ratio == 1.0


def test_without_torchmetrics_ours_is_measured_alone(clock, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.detection", None)
    times = measure_metrics(clock, repeats=1, grid=SMALL)
    assert set(times.seconds) == {OURS, EVERYTHING}
    assert times.ratio is None and times.difference is None


def test_the_made_up_scene_has_things_stuff_unknown_voxels_and_errors():
    scene, truth = made_up_scene(SMALL)
    categories = {segment.category for segment in scene.segments}
    assert categories & SEMANTIC_KITTI.thing_ids and categories - SEMANTIC_KITTI.thing_ids
    assert (truth.semantics == 255).any() and truth.instances.max() > 10
    assert 0.5 < np.mean(scene.semantics[truth.semantics != 255] == truth.semantics[truth.semantics != 255]) < 1
