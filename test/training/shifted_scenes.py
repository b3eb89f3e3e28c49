"""Metrics of wrong scenes, alone and reduced over processes; processes that are spawned import it by this name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch.distributed
from toy_scenes import ToyScenes

from pasco_core.data.frame import VoxelTruth
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.evaluation.truth_scene import scene_from_truth
from pasco_core.geometry import KITTI_GRID
from pasco_core.metrics import SceneMetrics
from training.validation import gather

N_FRAMES = 5


def metrics_of(numbers: list[int]) -> SceneMetrics:
    """Of scenes that are each a shifted copy of their truth, by another shift for each."""
    scenes, metrics = ToyScenes(N_FRAMES), SceneMetrics(SEMANTIC_KITTI)
    for number in numbers:
        truth = scenes.truth(scenes.frames("val")[number])
        shifted = VoxelTruth(*(np.roll(a, number, 0) for a in (truth.semantics, truth.instances)))
        metrics.update(scene_from_truth(shifted, SEMANTIC_KITTI, KITTI_GRID), truth)
    return metrics


def reduce_in_process(rank: int, world: int, folder: str) -> None:
    """Rank 0 sees three frames, rank 1 two; each writes what it reads off the merged metrics."""
    store = torch.distributed.FileStore(f"{folder}/store", world)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=world)
    merged = gather([metrics_of(list(range(N_FRAMES))[rank::world])], SEMANTIC_KITTI)[0]
    Path(folder, f"rank_{rank}.txt").write_text(repr(merged.compute()))
    torch.distributed.destroy_process_group()
