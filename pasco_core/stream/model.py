"""The network behind node and replay: loaded from the settings, verified and warmed up before the first cloud."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pasco_core.data.frame import UNKNOWN
from pasco_core.data.label_set import SEMANTIC_KITTI, LabelSet
from pasco_core.data.plain_scan import plain_scan
from pasco_core.errors import ConfigError, InferenceError
from pasco_core.geometry import KITTI_GRID, VoxelGrid
from pasco_core.prediction import ScenePrediction
from pasco_core.settings.deadline_settings import LEVELS
from pasco_core.settings.node_config import NodeConfig

FULL_EFFORT = LEVELS[0]
"""The level of effort that every model has."""

_log = logging.getLogger(__name__)

# Words in the notes of a checkpoint.
_NOT_TRAINED = ("untrained", "random weights")

# What the network needs and a ROS installation does not bring.
_NETWORK_PACKAGES = ("torch", "safetensors", "scipy")


@dataclass(frozen=True)
class Model:
    """A network ready to predict.

    Args:
        predict: (N, 4) float32 points -> scene; with less effort where a keyword ``effort`` is given.
        checkpoint: which weights, in words: file name and SHA-256, or that they are not trained.
        trained: whether the weights come from training.
        device: where it runs, in words.
        grid: the grid of its scenes.
        labels: the classes of its scenes.
        levels: level of effort, from the most to the least -> keyword ``effort`` of ``predict``; None: no keyword.
    """

    predict: Callable[..., ScenePrediction]
    checkpoint: str
    trained: bool = True
    device: str = "cpu"
    grid: VoxelGrid = KITTI_GRID
    labels: LabelSet = SEMANTIC_KITTI
    levels: Mapping[str, Any] = field(default_factory=lambda: {FULL_EFFORT: None})

    def predict_at(self, points: np.ndarray, level: str) -> ScenePrediction:
        """The scene of points (N, 4) float32, with the effort of one of ``levels``."""
        effort = self.levels[level]
        return self.predict(points) if effort is None else self.predict(points, effort=effort)


ModelLoader = Callable[[NodeConfig], Model]


def load_model(config: NodeConfig) -> Model:
    """Load PaSCo with the weights and on the device of the settings.

    Raises:
        CheckpointError: the weights are missing, damaged or of another architecture.
        ConfigError: the device is not there, or a Python package that the network needs.
    """
    try:  # here, because torch costs seconds and only a node that is configured needs it
        import torch

        from pasco_core.systems.pasco.effort import effort_levels
        from pasco_core.systems.pasco.predictor import Predictor
    except ModuleNotFoundError as error:
        if error.name not in _NETWORK_PACKAGES:
            raise
        raise ConfigError(_missing(error.name)) from error

    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    device = choose_device(config.device)
    if config.checkpoint:
        path = Path(config.checkpoint).expanduser()
        features = Path(config.features_checkpoint).expanduser() if config.features_checkpoint else None
        predictor = Predictor(path, device=device, features=features)
        name = path.name
    else:
        predictor = Predictor(device=device)
        name = "the shipped network, trained on simulated scans alone"
    name = f"{name} (SHA-256 {predictor.checkpoint_sha256})"
    trained = not any(word in note for note in predictor.notes for word in _NOT_TRAINED)
    levels = effort_levels(predictor.config.n_subnets, config.degraded_range, predictor.grid)
    return Model(predictor, name, trained, device, predictor.grid, predictor.labels, levels)


def choose_device(name: str) -> str:
    """The device that a setting names; "auto" is CUDA where there is one.

    Raises:
        ConfigError: no such device on this machine.
    """
    import torch

    from pasco_core.device import usable_device

    if name != "auto":
        return str(usable_device(name))
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    _log.info("The network runs on %s, chosen by device = auto", device)
    return device


def _missing(package: str) -> str:
    """One line that tells what to install, and for which Python."""
    return (
        f"Expected the Python package {package} to be installed for {sys.executable}, got none. "
        "Install what the network needs with: python3 -m pip install 'torch>=2.11' safetensors scipy"
    )


def warm_up(model: Model, every_level: bool = False) -> None:
    """Compute one synthetic scan, so that the first real one is not slow and broken weights show at once.

    Args:
        model: what predicts.
        every_level: with every level of effort, for each has its own sizes; else with full effort alone.

    Raises:
        InferenceError: the prediction has values that are not finite.
    """
    points = plain_scan()
    for level in list(model.levels)[: None if every_level else 1]:
        check_scene(model.predict_at(points, level))


def check_scene(scene: ScenePrediction) -> None:
    """Refuse a prediction with values that are not finite or classes that do not exist.

    Raises:
        InferenceError: names what is wrong.
    """
    for name, values in (("probabilities", scene.probabilities), ("uncertainty", scene.voxel_uncertainty)):
        bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        if bad:
            raise InferenceError(f"Expected the {name} of the scene to be finite, got {bad} values that are not")
    highest = int(scene.semantics[scene.semantics != UNKNOWN].max(initial=0))
    if highest >= scene.labels.n_classes:
        raise InferenceError(f"Expected the classes of the scene to be below {scene.labels.n_classes}, got {highest}")
