"""Validation: the predictor that users run, and the metrics of ``pasco eval``, over all devices together."""

from __future__ import annotations

from typing import Any

import torch.distributed

from pasco_core.data.label_set import LabelSet
from pasco_core.metrics import SceneMetrics
from pasco_core.systems.pasco import Predictor
from pasco_core.systems.pasco.network import PaSCo
from pasco_core.systems.waffleiron import WaffleIron
from training.config import Experiment
from training.items import ValidationItem


class Validation:
    """Figures of every subnet and of the ensemble over the frames of one validation.

    Args:
        network: as it is now.
        experiment: its classes.
        device: of the network.
        features: for networks that read point features.
    """

    def __init__(self, network: PaSCo, experiment: Experiment, device: str, features: WaffleIron | None = None):
        self._predictor = Predictor(network, device, features=features)
        self._labels = experiment.labels
        n = experiment.network.n_subnets
        self.names = [*(f"subnet{i + 1}" for i in range(n)), "ensemble"] if n > 1 else ["ensemble"]
        self.metrics = [SceneMetrics(self._labels) for _ in self.names]

    def add(self, item: ValidationItem) -> None:
        """One frame."""
        scenes = self._predictor.predict_all(item.points)
        for metrics, scene in zip(self.metrics, scenes[-len(self.metrics) :]):
            metrics.update(scene, item.truth)

    def figures(self) -> dict[str, float]:
        """``val/<who>/<figure>`` in percent, of all devices' frames; ECE of voxels as it is."""
        merged = gather(self.metrics, self._labels)
        return {
            f"val/{name}/{key}": value
            for name, metrics in zip(self.names, merged)
            for key, value in headline(metrics.compute()).items()
        }


def headline(figures: dict[str, Any]) -> dict[str, float]:
    """The figures a training is judged by, from ``SceneMetrics.compute``; a share of nothing counts as the worst.

    Returns:
        IoU, mIoU, PQ and PQ_dagger in percent, by the paper's protocol, 0 for nan, and voxel_ECE, 1 for nan or None.
    """
    completion, panoptic = figures["completion"]["paper"], figures["panoptic"]["paper"]["all"]
    values = {
        "IoU": 100 * completion["iou"],
        "mIoU": 100 * completion["miou"],
        "PQ": 100 * panoptic["pq"],
        "PQ_dagger": 100 * panoptic["pq_dagger"],
    }
    ece = figures["calibration"]["voxels"]["ece"]
    shares = {name: value if value == value else 0.0 for name, value in values.items()}
    return {**shares, "voxel_ECE": ece if ece is not None and ece == ece else 1.0}


def gather(metrics: list[SceneMetrics], labels: LabelSet) -> list[SceneMetrics]:
    """The metrics of all processes merged, the same on each of them, however many frames each has seen."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return metrics
    states: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(states, [m.to_dict() for m in metrics])
    merged = [SceneMetrics(labels) for _ in metrics]
    for of_rank in states:
        for total, state in zip(merged, of_rank):
            total.merge(SceneMetrics.from_dict(labels, state))
    return merged
