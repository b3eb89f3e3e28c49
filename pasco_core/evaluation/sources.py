"""Where the predictions that are evaluated come from: a network, a folder of saved ones, or the truth itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pasco_core.data.datasets.dataset import Dataset
from pasco_core.data.frame import Frame, frame_seed
from pasco_core.errors import CheckpointError, ConfigError, DataError
from pasco_core.evaluation.truth_scene import scene_from_truth
from pasco_core.prediction import ScenePrediction
from pasco_core.prediction_file import load_prediction


class OpenSource(Protocol):
    """A source ready to answer, in one process.

    Attributes:
        methods: names of what a call returns, in order; the last is the one a report leads with.
        needs_points: whether a call looks at the scan.
    """

    @property
    def methods(self) -> tuple[str, ...]: ...

    @property
    def needs_points(self) -> bool: ...

    def __call__(self, frame: Frame, points: np.ndarray) -> list[ScenePrediction]:
        """One scene per method; the same for the same arguments, whatever was asked before."""
        ...


class Source(Protocol):
    """A description of a source that can be sent to other processes.

    Attributes:
        seed: of everything random about a frame.
    """

    @property
    def seed(self) -> int: ...

    def settings(self) -> dict[str, Any]:
        """What decides the predictions: equal settings, equal predictions. Plain JSON values, no paths."""
        ...

    def places(self) -> dict[str, str]:
        """Where its files are on this machine."""
        ...

    def prediction_digest(self, frame: Frame) -> str:
        """Of the file a frame's prediction is read from; "" where ``settings`` says everything.

        Raises:
            DataError: the file cannot be read.
        """
        ...

    def open(self, dataset: Dataset, device: str = "cpu") -> OpenSource:
        """Load it.

        Raises:
            PascoError: its files are missing, damaged or do not fit the dataset.
        """
        ...


@dataclass(frozen=True)
class NetworkSource:
    """A PaSCo network: every subnet's scene, then the ensemble's.

    Args:
        checkpoint: ``.safetensors`` of ``pasco convert``; None: untrained random weights of the small width.
        features: WaffleIron checkpoint, for networks that read its point features.
        transforms: "fixed", or "random" views per frame, as the published numbers were made.
        seed: of everything random: a frame's random numbers come from it and the frame's name alone.
        votes: randomly augmented views WaffleIron averages over.
        uncertainty: as for ``Predictor``.
    """

    checkpoint: str | None = None
    features: str | None = None
    transforms: str = "fixed"
    seed: int = 0
    votes: int = 0
    uncertainty: str = "max_probability"

    def __post_init__(self) -> None:
        if self.transforms not in ("fixed", "random"):
            raise ConfigError(f"Expected transforms to be 'fixed' or 'random', got {self.transforms!r}")
        if self.features is not None and self.checkpoint is None:
            raise ConfigError("Expected features to come with a checkpoint, whose network reads them, got none")

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {
            name: _sha256(path)
            for name, path in (("checkpoint", self.checkpoint), ("features", self.features))
            if path is not None
        }

    def settings(self) -> dict[str, Any]:
        weights = {f"{name}_sha256": digest for name, digest in self._digests.items()}
        return {
            "source": "untrained network" if self.checkpoint is None else "network",
            **weights,
            "transforms": self.transforms,
            "votes": self.votes,
            "uncertainty": self.uncertainty,
            "seed": self.seed,
        }

    def places(self) -> dict[str, str]:
        paths = {"checkpoint": self.checkpoint, "features": self.features}
        return {name: str(path) for name, path in paths.items() if path is not None}

    def prediction_digest(self, frame: Frame) -> str:
        return ""

    def open(self, dataset: Dataset, device: str = "cpu") -> OpenSource:
        from pasco_core.systems.pasco import Predictor

        options: dict[str, Any] = {
            "device": device,
            "transforms": "random" if self.transforms == "random" else None,
            "votes": self.votes,
            "uncertainty": self.uncertainty,
        }
        if self.checkpoint is not None:
            predictor = Predictor(self.checkpoint, features=self.features, **options)
        else:
            from pasco_core.systems.pasco.untrained import SMALL

            config = replace(SMALL, n_classes=dataset.labels.n_classes)
            predictor = Predictor.untrained(config, self.seed, **options)
        if predictor.labels.class_names != dataset.labels.class_names:
            raise ConfigError(
                f"Expected the network's classes to be those of the dataset, {dataset.labels.name}, "
                f"got {predictor.labels.name}"
            )
        return _OpenNetwork(predictor, self.seed)


class _OpenNetwork:
    needs_points = True

    def __init__(self, predictor: Any, seed: int):
        self._predictor, self._seed = predictor, seed
        self.methods = (*(f"subnet {i + 1}" for i in range(predictor.config.n_subnets)), "ensemble")

    def __call__(self, frame: Frame, points: np.ndarray) -> list[ScenePrediction]:
        rng = np.random.default_rng(frame_seed(self._seed, frame))
        return self._predictor.predict_all(points, rng=rng)


@dataclass(frozen=True)
class FolderSource:
    """Predictions that were saved as ``<folder>/<sequence>/<index:06d>.npz`` (``prediction_file``), by any system."""

    folder: str
    seed: int = 0

    def settings(self) -> dict[str, Any]:
        return {"source": "saved predictions"}

    def places(self) -> dict[str, str]:
        return {"predictions": self.folder}

    def prediction_digest(self, frame: Frame) -> str:
        from pasco_core.checkpoints.checkpoint_file import file_sha256

        path = self.path(frame)
        try:
            return file_sha256(path)[:16]
        except OSError as error:
            raise DataError(f"Expected prediction {path} to be readable, got {error.strerror or error}") from error

    def path(self, frame: Frame) -> Path:
        """Where the prediction of ``frame`` is."""
        return saved_prediction_path(self.folder, frame)

    def check(self, frames: Sequence[Frame]) -> None:
        """Says at once which predictions are missing.

        Raises:
            DataError: some are; the first few are named.
        """
        if not Path(self.folder).is_dir():
            raise DataError(f"Expected the folder of predictions {self.folder} to exist, got nothing there")
        missing = [frame for frame in frames if not self.path(frame).is_file()]
        if missing:
            first = ", ".join(str(self.path(frame)) for frame in missing[:3])
            raise DataError(
                f"Expected predictions of all {len(frames)} frames in {self.folder}, got none of {len(missing)} "
                f"({first}{', …' if len(missing) > 3 else ''})"
            )

    def open(self, dataset: Dataset, device: str = "cpu") -> OpenSource:
        def read(frame: Frame, _: np.ndarray) -> list[ScenePrediction]:
            path = self.path(frame)
            scene = load_prediction(path)
            _check_fit(scene, dataset, str(path))
            return [scene]

        return _OpenFiles(("prediction",), read)


@dataclass(frozen=True)
class TruthSource:
    """The truth as its own prediction: it must score exactly 100 wherever the truth has something."""

    seed: int = 0

    def settings(self) -> dict[str, Any]:
        return {"source": "truth"}

    def places(self) -> dict[str, str]:
        return {}

    def prediction_digest(self, frame: Frame) -> str:
        return ""

    def open(self, dataset: Dataset, device: str = "cpu") -> OpenSource:
        def make(frame: Frame, _: np.ndarray) -> list[ScenePrediction]:
            return [scene_from_truth(dataset.truth(frame), dataset.labels, dataset.grid)]

        return _OpenFiles(("truth",), make)


@dataclass(frozen=True)
class _OpenFiles:
    """A source that never looks at the scan."""

    methods: tuple[str, ...]
    scenes: Callable[[Frame, np.ndarray], list[ScenePrediction]]
    needs_points: bool = False

    def __call__(self, frame: Frame, points: np.ndarray) -> list[ScenePrediction]:
        return self.scenes(frame, points)


def saved_prediction_path(folder: str | Path, frame: Frame) -> Path:
    """``<folder>/<sequence>/<index:06d>.npz``."""
    return Path(folder) / frame.sequence / f"{frame.index:06d}.npz"


def _check_fit(scene: ScenePrediction, dataset: Dataset, name: str) -> None:
    if scene.labels.class_names != dataset.labels.class_names:
        raise DataError(
            f"Expected {name} to have the classes of the dataset, {dataset.labels.name}, got {scene.labels.name}"
        )
    if scene.grid != dataset.grid:
        raise DataError(f"Expected {name} to be on the dataset's grid {dataset.grid}, got {scene.grid}")


def _sha256(path: str) -> str:
    from pasco_core.checkpoints.checkpoint_file import file_sha256

    try:
        return file_sha256(Path(path))
    except OSError as error:
        raise CheckpointError(f"Expected checkpoint {path} to be readable, got {error.strerror or error}") from error
