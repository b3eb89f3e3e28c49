"""The metrics of one grid beside torchmetrics' panoptic quality, in one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pasco_core.benchmark.machine import Clock, median_seconds
from pasco_core.data.frame import UNKNOWN, VoxelTruth
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import ConfigError
from pasco_core.geometry import KITTI_GRID, VoxelGrid
from pasco_core.metrics import PanopticQuality, SceneMetrics
from pasco_core.prediction import ScenePrediction, Segment

OURS, EVERYTHING, ORACLE = "panoptic quality", "all metrics", "torchmetrics' panoptic quality"


@dataclass(frozen=True)
class MetricTimes:
    """Seconds of one frame.

    Args:
        shape: of the grid.
        n_segments: predicted ones.
        seconds: median by what was measured; torchmetrics ran once, and is absent where it is not installed.
        ratio: torchmetrics' seconds as a multiple of ours, for panoptic quality alone; None without torchmetrics.
        difference: largest difference between the PQ of any class; None without torchmetrics.
    """

    shape: tuple[int, int, int]
    n_segments: int
    seconds: dict[str, float]
    ratio: float | None
    difference: float | None


def measure_metrics(clock: Clock, repeats: int = 3, grid: VoxelGrid = KITTI_GRID) -> MetricTimes:
    """Times panoptic quality and all metrics on one made-up scene, and torchmetrics' panoptic quality if it is there.

    Args:
        clock: seconds of some clock.
        repeats: runs of ours the median is taken of.
        grid: of the scene.
    """
    scene, truth = made_up_scene(grid)
    labels = scene.labels
    quality = PanopticQuality(labels.class_names, labels.thing_ids)
    metrics = SceneMetrics(labels)
    seconds = {
        OURS: median_seconds(lambda: quality.update(scene.panoptic, scene.segments, truth), clock, repeats=repeats),
        EVERYTHING: median_seconds(lambda: metrics.update(scene, truth), clock, repeats=repeats),
    }
    try:
        start = clock()
        expected = torchmetrics_quality(scene, truth)
        seconds[ORACLE] = clock() - start
    except ConfigError:
        return MetricTimes(grid.shape, len(scene.segments), seconds, None, None)
    ours = np.array([c.pq for c in quality.compute().per_class.values()])
    difference = float(np.abs(np.nan_to_num(ours) - expected[1:, 0]).max())
    return MetricTimes(grid.shape, len(scene.segments), seconds, seconds[ORACLE] / seconds[OURS], difference)


def torchmetrics_quality(scene: ScenePrediction, truth: VoxelTruth) -> np.ndarray:
    """(classes, 3) float64 PQ, SQ and RQ by torchmetrics, on the voxels of known truth.

    Empty counts as a stuff class there, because torchmetrics would take what is no class for unknown.

    Raises:
        ConfigError: torchmetrics is not installed.
    """
    oracle_class, torch = _torchmetrics()
    things = sorted(scene.labels.thing_ids)
    stuff = sorted(set(range(scene.labels.n_classes)) - set(things))
    known = truth.semantics != UNKNOWN
    category = np.zeros(max([0, *(s.id for s in scene.segments)]) + 1, np.int64)
    category[[s.id for s in scene.segments]] = [s.category for s in scene.segments]
    ids = scene.panoptic[known]
    predicted = np.stack([category[ids], ids], -1)
    true = np.stack([truth.semantics[known], truth.instances[known]], -1).astype(np.int64)
    oracle = oracle_class(set(things), set(stuff), return_sq_and_rq=True, return_per_class=True)
    scores = np.empty((scene.labels.n_classes, 3))
    # It lists the things first, then the stuff.
    scores[things + stuff] = oracle(torch.from_numpy(predicted)[None], torch.from_numpy(true)[None]).reshape(-1, 3)
    return scores


def _torchmetrics() -> tuple[Any, Any]:
    try:
        import torch
        from torchmetrics.detection import PanopticQuality as Oracle
    except ImportError as error:
        raise ConfigError("Expected torchmetrics to be installed (pip install 'pasco-ros[train]')") from error
    return Oracle, torch


def made_up_scene(grid: VoxelGrid) -> tuple[ScenePrediction, VoxelTruth]:
    """A street of road, walls and cars, and a prediction of it that is a voxel off and unsure at its surfaces."""
    rng = np.random.default_rng(0)
    truth = _street(grid.shape, rng)
    shifted = np.roll(truth.semantics, 1, axis=0)
    semantics = np.where(shifted == UNKNOWN, 0, shifted)
    instances = np.where(semantics > 0, np.roll(truth.instances, 1, axis=0), 0)
    key = np.where(instances > 0, SEMANTIC_KITTI.n_classes + instances.astype(np.int32), semantics)
    keys, first, ids = np.unique(key, return_index=True, return_inverse=True)
    panoptic = ids.reshape(grid.shape).astype(np.int32)  # key 0, empty, is the first and gets id 0
    categories = semantics.ravel()[first]
    segments = [_segment(i, int(categories[i]), rng) for i in range(1, len(keys))]

    near = semantics > 0
    for axis in range(3):
        near |= np.roll(near, 1, axis)
    voxels = np.flatnonzero(near)
    classes = semantics.ravel()[voxels]
    confidence = rng.uniform(0.6, 1.0, len(voxels)).astype(np.float32)
    probabilities = np.repeat((1 - confidence)[:, None] / (SEMANTIC_KITTI.n_classes - 1), SEMANTIC_KITTI.n_classes, 1)
    probabilities[np.arange(len(voxels)), classes] = confidence
    uncertainty = np.zeros(grid.n_voxels, np.float32)
    uncertainty[voxels] = 1 - confidence
    scene = ScenePrediction(
        grid=grid,
        labels=SEMANTIC_KITTI,
        semantics=semantics,
        panoptic=panoptic,
        segments=segments,
        voxel_uncertainty=uncertainty.reshape(grid.shape),
        mask_confidence=np.where(panoptic > 0, 1 - uncertainty.reshape(grid.shape), 0).astype(np.float32),
        probability_voxels=voxels,
        probabilities=probabilities.astype(np.float32),
    )
    return scene, truth


def _street(shape: tuple[int, int, int], rng: np.random.Generator) -> VoxelTruth:
    names = SEMANTIC_KITTI.class_names
    semantics, instances = np.zeros(shape, np.uint8), np.zeros(shape, np.uint16)
    x, y, z = shape
    ground = z // 4
    semantics[:, :, :ground] = UNKNOWN
    semantics[:, :, ground] = names.index("terrain")
    semantics[:, y // 3 : 2 * y // 3, ground] = names.index("road")
    semantics[:, y // 8, ground + 1 : -1] = names.index("building")
    semantics[:, 7 * y // 8, ground + 1 : -1] = names.index("vegetation")
    for number in range(1, 31):
        at_x, at_y = rng.integers(0, x - x // 16), rng.integers(y // 3, 2 * y // 3 - y // 32)
        box = slice(at_x, at_x + x // 16), slice(at_y, at_y + y // 32), slice(ground + 1, ground + 1 + z // 4)
        free = instances[box] == 0
        instances[box][free] = number
        semantics[box][free] = names.index("car")
    semantics[: x // 16] = UNKNOWN
    instances[semantics == UNKNOWN] = 0
    return VoxelTruth(semantics, instances)


def _segment(number: int, category: int, rng: np.random.Generator) -> Segment:
    confidence = float(np.float32(rng.uniform(0.7, 1.0)))
    probabilities = np.zeros(SEMANTIC_KITTI.n_classes + 1, np.float32)
    probabilities[category], probabilities[-1] = confidence, 1 - confidence
    return Segment(number, category, SEMANTIC_KITTI.is_thing(category), confidence, probabilities)
