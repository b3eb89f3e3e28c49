"""Small scenes for the metrics' tests: random ones, and predictions that say exactly what a truth says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pasco_core.data.frame import UNKNOWN, VoxelTruth
from pasco_core.data.label_set import LabelSet
from pasco_core.geometry import VoxelGrid
from pasco_core.prediction import ScenePrediction, Segment

LABELS = LabelSet(
    "test", ("empty", "car", "person", "road", "wall", "tree"), frozenset({1, 2}), np.zeros((6, 3), np.uint8)
)
SHAPE = (6, 5, 4)


def random_truth(rng: np.random.Generator, shape: tuple[int, int, int] = SHAPE, unknown: float = 0.1) -> VoxelTruth:
    """Stuff and things in random boxes; every thing voxel belongs to an instance, numbered without gaps."""
    semantics, instances = np.zeros(shape, np.uint8), np.zeros(shape, np.int64)
    for number in range(1, rng.integers(2, 12)):
        low = [rng.integers(0, n) for n in shape]
        box = tuple(slice(a, a + rng.integers(1, n)) for a, n in zip(low, shape))
        semantics[box] = category = rng.integers(1, LABELS.n_classes)
        instances[box] = number if category in LABELS.thing_ids else 0
    semantics[rng.random(shape) < unknown] = UNKNOWN
    instances[semantics == UNKNOWN] = 0
    numbers = np.unique(instances[instances > 0])
    return VoxelTruth(semantics, np.where(instances > 0, np.searchsorted(numbers, instances) + 1, 0).astype(np.uint16))


def prediction_of(truth: VoxelTruth, rng: np.random.Generator) -> ScenePrediction:
    """A scene with exactly this content (unknown becomes empty), with random probabilities that agree with it."""
    shape, n_classes = truth.semantics.shape, LABELS.n_classes
    semantics = np.where(truth.semantics == UNKNOWN, 0, truth.semantics).astype(np.uint8)
    key = np.where(truth.instances > 0, 100 + truth.instances.astype(np.int64), semantics)
    panoptic, segments = np.zeros(shape, np.int32), []
    for number, value in enumerate(rng.permutation(np.unique(key[key > 0])), start=1):
        ids = 3 * number
        panoptic[key == value] = ids
        segments.append(random_segment(ids, int(semantics[key == value][0]), rng))
    voxels = np.flatnonzero((semantics.ravel() > 0) | (rng.random(semantics.size) < 0.3))
    probabilities = rng.dirichlet(np.ones(n_classes), len(voxels)).astype(np.float32)
    rows = np.arange(len(voxels))
    classes, best = semantics.ravel()[voxels], probabilities.argmax(1)
    probabilities[rows, classes], probabilities[rows, best] = probabilities[rows, best], probabilities[rows, classes]
    uncertainty = np.zeros(semantics.size, np.float32)
    uncertainty[voxels] = 1 - probabilities.max(1)
    return ScenePrediction(
        grid=VoxelGrid((0.0, 0.0, 0.0), 0.2, shape),
        labels=LABELS,
        semantics=semantics,
        panoptic=panoptic,
        segments=segments,
        voxel_uncertainty=uncertainty.reshape(shape),
        mask_confidence=np.where(panoptic > 0, rng.random(shape), 0).astype(np.float32),
        probability_voxels=voxels,
        probabilities=probabilities,
    )


def random_segment(number: int, category: int, rng: np.random.Generator) -> Segment:
    probabilities = rng.dirichlet(np.ones(LABELS.n_classes + 1)).astype(np.float32)
    best = probabilities.argmax()
    probabilities[[category, best]] = probabilities[[best, category]]
    return Segment(number, category, LABELS.is_thing(category), float(probabilities[category]), probabilities)


def random_frame(seed: int) -> tuple[ScenePrediction, VoxelTruth]:
    """A truth and a prediction that shares part of it."""
    rng = np.random.default_rng(seed)
    truth, other = random_truth(rng), random_truth(rng, unknown=0.0)
    # Take over a random part of the truth, object by object, so that many segments match.
    take = (rng.random(SHAPE) < 0.9) & (rng.random((*SHAPE[:2], 1)) < 0.8) & (truth.semantics != UNKNOWN)
    semantics = np.where(take, truth.semantics, other.semantics)
    instances = np.where(take, truth.instances, other.instances.astype(np.int64) + 50)
    instances = np.where(np.isin(semantics, sorted(LABELS.thing_ids)), instances, 0)
    scene = prediction_of(VoxelTruth(semantics.astype(np.uint8), instances.astype(np.uint16)), rng)
    return scene, truth


def with_segment(scene: ScenePrediction, place: int, **changes: object) -> ScenePrediction:
    """The scene with one segment changed."""
    segments = list(scene.segments)
    segments[place] = replace(segments[place], **changes)
    return replace(scene, segments=segments)
