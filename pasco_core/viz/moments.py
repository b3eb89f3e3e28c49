"""Moments to be shown, from whatever a path is: a scene, a scan, a folder of them, a dataset, or a bag."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from pasco_core.data.camera_image import PosedImage
from pasco_core.data.datasets import open_dataset
from pasco_core.data.datasets.kitti_360 import is_kitti_360
from pasco_core.data.datasets.semantic_kitti import SemanticKitti, sequences_root
from pasco_core.data.frame import UNKNOWN, Frame, VoxelTruth
from pasco_core.data.label_set import LabelSet
from pasco_core.data.scan_files import SCAN_ENDINGS, read_scan
from pasco_core.errors import ConfigError, DataError
from pasco_core.evaluation.truth_scene import scene_from_truth
from pasco_core.geometry import VoxelGrid
from pasco_core.geometry.camera_model import CameraModel
from pasco_core.prediction import ScenePrediction
from pasco_core.prediction_file import load_prediction
from pasco_core.viz.moment import Moment

SCENE_ENDING = ".npz"
BAG_ENDINGS = (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")


@dataclass(frozen=True)
class Wanted:
    """What will be shown; only that is read.

    Args:
        scene: voxels.
        points: the scan.
        image: the camera's image.
    """

    scene: bool = True
    points: bool = True
    image: bool = False


class Moments(Protocol):
    """A source of moments.

    Attributes:
        name: short, for names of files.
        count: how many there are.
    """

    name: str
    count: int

    def take(self, numbers: range) -> Iterator[Moment]:
        """Those with some numbers (from 0, ascending), read one after the other.

        Raises:
            DataError: a file or message breaks its format.
        """
        ...


def open_moments(
    path: str | os.PathLike[str], wanted: Wanted, *, sequence: str | None = None,
    predictions: str | os.PathLike[str] | None = None, scan: str | os.PathLike[str] | None = None,
    topic: str | None = None, camera: str | None = None,
) -> Moments:
    """The moments in a scene (.npz), a scan, a folder of one of these, a dataset, or a bag.

    Args:
        path: what is to be shown.
        wanted: what will be shown of it.
        sequence: of a dataset (default: the only one).
        predictions: folder with a dataset's scenes, ``<sequence>/<frame>.npz``, that are shown in place of its truth.
        scan: file with the points of a single scene.
        topic: of a bag: VoxelGrid or PointCloud2 (default: the only one).
        camera: of a bag: its images (default: the only topic with images).

    Raises:
        ConfigError: an option that the path has no use for, or one that it needs.
        DataError: nothing there, or nothing of these kinds.
    """
    path = Path(path)
    kind = _kind(path)
    uses = {"dataset": ("sequence", "predictions"), "bag": ("topic", "camera"), "scene": ("scan",)}.get(kind, ())
    given = {"sequence": sequence, "predictions": predictions, "scan": scan, "topic": topic, "camera": camera}
    for name, value in given.items():
        if value is not None and name not in uses:
            raise ConfigError(f"Expected --{name} to come with {_OWNERS[name]}, got {path}, a {kind}")
    if wanted.image and kind not in ("dataset", "bag"):
        raise DataError(f"Expected {path} to be a dataset or a bag, which can have images, got a {kind}")
    if kind == "dataset":
        return DatasetMoments(path, wanted, sequence, predictions)
    if kind == "bag":
        from pasco_core.viz.bag_moments import BagMoments

        return BagMoments(path, wanted, topic, camera)
    return FileMoments(path.stem, [path], scan) if kind in ("scene", "scan") else FileMoments(path.name, _files(path))


_OWNERS = {
    "sequence": "a dataset", "predictions": "a dataset", "scan": "one scene", "topic": "a bag", "camera": "a bag",
}


class FileMoments:
    """Scenes and scans in files, in the order of their names.

    Args:
        name: of all together.
        files: .npz scenes or scans.
        scan: file with the points of the only scene.
    """

    def __init__(self, name: str, files: list[Path], scan: str | os.PathLike[str] | None = None) -> None:
        self.name = name
        self.count = len(files)
        self._files, self._scan = files, scan

    def take(self, numbers: range) -> Iterator[Moment]:
        """As ``Moments.take``."""
        for number in numbers:
            file = self._files[number]
            if file.suffix.lower() != SCENE_ENDING:
                yield Moment(file.name, points=read_scan(file).points)
                continue
            points = None if self._scan is None else read_scan(self._scan).points
            yield Moment(_scene_name(file), load_prediction(file), points)


class DatasetMoments:
    """A sequence of a dataset with its truth, or with predictions in its place.

    Args:
        root: dataset in SemanticKITTI's or SSCBench-KITTI-360's layout.
        wanted: what will be shown.
        sequence: its folder's name; None: the only one.
        predictions: folder with ``<sequence>/<frame>.npz``.

    Raises:
        ConfigError: the sequence is not there, or must be named.
        DataError: nothing to show in it.
    """

    def __init__(
        self, root: Path, wanted: Wanted, sequence: str | None = None,
        predictions: str | os.PathLike[str] | None = None,
    ) -> None:
        self._dataset, self._wanted = open_dataset(root), wanted
        names = self._dataset.sequences() if sequence is None else (sequence,)
        if len(names) != 1:
            raise ConfigError(f"Expected --sequence to name one of {', '.join(names) or 'no sequence'}, got none")
        self.name = names[0]
        self._predictions = None if predictions is None else Path(predictions)
        self._frames = self._frames_of(names, with_truth=wanted.scene and predictions is None)
        if self._predictions is not None:
            self._frames = [frame for frame in self._frames if self._prediction(frame).is_file()]
            if not self._frames:
                first = self._predictions / self.name
                raise DataError(f"Expected {first} to hold predictions of the dataset's scans, NUMBER.npz, got none")
        self.count = len(self._frames)
        self._models: dict[tuple[int, ...], CameraModel] = {}

    def take(self, numbers: range) -> Iterator[Moment]:
        """As ``Moments.take``."""
        for number in numbers:
            frame = self._frames[number]
            yield Moment(
                str(frame), self._scene(frame) if self._wanted.scene else None,
                self._dataset.points(frame) if self._wanted.points else None,
                self._image(frame) if self._wanted.image else None, is_truth=self._predictions is None,
            )

    def _frames_of(self, names: Sequence[str], with_truth: bool) -> list[Frame]:
        try:
            return self._dataset.frames(sequences=names, with_truth=with_truth)
        except DataError as error:
            if not with_truth:
                raise
            raise DataError(f"{error}; --show input shows the scans alone") from error

    def _prediction(self, frame: Frame) -> Path:
        return Path(self._predictions or "") / f"{frame}.npz"

    def _scene(self, frame: Frame) -> ScenePrediction:
        if self._predictions is not None:
            return load_prediction(self._prediction(frame))
        return true_scene(self._dataset.truth(frame), self._dataset.labels, self._dataset.grid)

    def _image(self, frame: Frame) -> PosedImage:
        """The left colour camera's image; the camera stands where its projection says, beside camera 0."""
        dataset = self._dataset
        if not isinstance(dataset, SemanticKitti):
            raise DataError(f"Expected {dataset.root} to have the calibration of its cameras, got a layout without")
        calibration, rgb = dataset.calibration(frame.sequence), dataset.image(frame)
        matrix, size = calibration.p2[:, :3], rgb.shape[:2]
        if size not in self._models:
            shift = np.linalg.solve(matrix, calibration.p2[:, 3])
            self._models[size] = CameraModel(size[1], size[0], matrix, shift=shift)
        return PosedImage(rgb, self._models[size], np.linalg.inv(calibration.tr))


def true_scene(truth: VoxelTruth, labels: LabelSet, grid: VoxelGrid) -> ScenePrediction:
    """The truth as a scene in which unknown voxels stay unknown."""
    scene = scene_from_truth(truth, labels, grid)
    return replace(scene, semantics=np.where(truth.semantics == UNKNOWN, np.uint8(UNKNOWN), scene.semantics))


def _kind(path: Path) -> str:
    """"scene", "scan", "folder", "dataset" or "bag".

    Raises:
        DataError: nothing there.
    """
    if path.name.endswith(BAG_ENDINGS) or path.name == "metadata.yaml":
        return "bag"
    if path.is_dir():
        if (path / "metadata.yaml").is_file() or any(p.name.endswith(BAG_ENDINGS) for p in path.iterdir()):
            return "bag"
        return "dataset" if (sequences_root(path) / "sequences").is_dir() or is_kitti_360(path) else "folder"
    if not path.exists():
        raise DataError(f"Expected {path} to be a scene, scan, folder of these, dataset or bag, got nothing there")
    return "scene" if path.suffix.lower() == SCENE_ENDING else "scan"


def _files(folder: Path) -> list[Path]:
    """Scenes, or else scans, of a folder; scenes may lie in folders of their own, as `pasco infer` writes them.

    Raises:
        DataError: neither, or both.
    """
    scenes = sorted(folder.glob(f"*{SCENE_ENDING}")) or sorted(folder.glob(f"*/scene{SCENE_ENDING}"))
    scans = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in SCAN_ENDINGS)
    if bool(scenes) == bool(scans):
        got = "both" if scenes else "neither"
        rule = f"scenes ({SCENE_ENDING}) or scans ({', '.join(SCAN_ENDINGS)})"
        inside = (folder / "velodyne").is_dir()
        hint = f"; of a dataset give the root, and --sequence {folder.name}" if inside else ""
        raise DataError(f"Expected {folder} to be a dataset, a bag, or a folder with either {rule}, got {got}{hint}")
    return scenes or scans


def _scene_name(file: Path) -> str:
    """A scene's own name, or that of its folder where all are called alike."""
    return file.absolute().parent.name if file.stem == "scene" else file.stem
