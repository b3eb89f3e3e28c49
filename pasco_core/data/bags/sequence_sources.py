"""What a sequence has for a bag, whichever layout it comes from: clouds, labels, cameras, motion, voxel truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from pasco_core.data.bags.motion import Motion, relative
from pasco_core.data.datasets.calibration import Calibration
from pasco_core.data.datasets.instance_files import instance_path
from pasco_core.data.datasets.kitti_360 import Kitti360
from pasco_core.data.datasets.kitti_raw import KittiRaw, is_kitti_raw
from pasco_core.data.datasets.open_dataset import open_dataset
from pasco_core.data.datasets.semantic_kitti import SemanticKitti
from pasco_core.data.datasets.timestamps import read_timestamps
from pasco_core.data.datasets.voxel_files import BIT_ENDINGS, read_labels
from pasco_core.data.frame import UNKNOWN, Frame, VoxelTruth
from pasco_core.data.label_set import LabelSet
from pasco_core.errors import ConfigError, DataError
from pasco_core.geometry import VoxelGrid

EPOCH = 10**18
"""Time of a sequence's zero in ns (September 2001), where its layout tells no date: stamp 0 has a meaning in ROS."""

CAMERA_FRAME = "camera_0_optical_frame"
RAW_LABELS = "raw_label"
MASKS = {".bin": "input", ".invalid": "invalid", ".occluded": "occluded"}
"""SemanticKITTI's voxel masks → layers of the truth, beside the layers ``semantics`` and ``instance``."""

PERIOD = 10**8
"""Nanoseconds from frame to frame, where no file tells times."""

_NO_INSTANCE_KNOWN = 65535


@dataclass(frozen=True)
class SequenceCamera:
    """A camera, rectified as the four of KITTI's car are.

    Args:
        number: in the names of its topics.
        projection: (3, 4) float64, frame of the rectified camera 0 → pixels.
    """

    number: int
    projection: np.ndarray


@dataclass(frozen=True)
class ImageFile:
    """An image of a frame, and when it was taken in ns."""

    path: Path
    stamp: int


class SequenceSource(Protocol):
    """One sequence.

    Attributes:
        labels: classes of its truth.
        grid: where the voxels of its truth are.
        cameras: ascending by number.
        camera_mount: pose (4, 4) of the rectified camera 0 in the LiDAR frame, None where no calibration is known.
        motion: of the LiDAR, in its frame at the beginning; None where nothing is known.
        notes: what is not there, one sentence each.
    """

    labels: LabelSet
    grid: VoxelGrid
    cameras: tuple[SequenceCamera, ...]
    camera_mount: np.ndarray | None
    motion: Motion | None
    notes: tuple[str, ...]

    def stamp(self, frame: Frame) -> int:
        """Time of a frame in ns.

        Raises:
            DataError: a file with times is there, and has no line for the frame.
        """

    def points(self, frame: Frame) -> np.ndarray:
        """(N, 4) float32 x y z in metres in the LiDAR frame, and intensity."""

    def point_labels(self, frame: Frame) -> np.ndarray | None:
        """(N,) uint32 as in ``.label``: raw id, and instance << 16; None where the frame has none."""

    def image(self, camera: int, frame: Frame) -> ImageFile | None:
        """A camera's image of a frame, if there is one."""

    def has_truth(self, frame: Frame) -> bool:
        """Whether ``truth_layers`` has any; no file is read."""

    def truth_layers(self, frame: Frame) -> dict[str, np.ndarray]:
        """What is known about the frame's voxels, by name of the layer."""


class SemanticKittiSource:
    """A sequence of SemanticKITTI or of the KITTI odometry benchmark.

    Raises:
        DataError: ``times.txt``, ``calib.txt`` or ``poses.txt`` is there and breaks its format.
    """

    def __init__(self, dataset: SemanticKitti, sequence: str):
        self._dataset, self._sequence = dataset, sequence
        self.labels, self.grid = dataset.labels, dataset.grid
        self.cameras: tuple[SequenceCamera, ...] = ()
        self.camera_mount: np.ndarray | None = None
        self.motion: Motion | None = None
        self.notes: tuple[str, ...] = ()
        folder = dataset.scan_path(Frame(sequence, 0)).parents[1]
        times = dataset.times(sequence) if (folder / "times.txt").is_file() else None
        self._stamps = None if times is None else EPOCH + np.rint(times * 1e9).astype(np.int64)
        if (folder / "calib.txt").is_file():
            known = dataset.calibration(sequence)
            self.camera_mount = np.linalg.inv(known.tr)
            self.cameras = _kitti_cameras(known)
            if dataset.poses_path(sequence).is_file():
                self.motion = self._motion(dataset.poses(sequence))

    def _motion(self, poses: np.ndarray) -> Motion:
        last = max(frame.index for frame in self._dataset.frames(sequences=[self._sequence], with_truth=False))
        self._dataset.pose(Frame(self._sequence, last))  # says that there is no line for it
        if self._stamps is None:
            return Motion(EPOCH + PERIOD * np.arange(len(poses), dtype=np.int64), poses)
        count = min(len(poses), len(self._stamps))
        return Motion(self._stamps[:count], poses[:count])

    def stamp(self, frame: Frame) -> int:
        """As ``SequenceSource`` says: of ``times.txt``, or ten frames per second."""
        if self._stamps is None:
            return EPOCH + frame.index * PERIOD
        if frame.index >= len(self._stamps):
            got = f"{len(self._stamps)} lines"
            raise DataError(f"Expected times.txt of sequence {self._sequence} to have a line for {frame}, got {got}")
        return int(self._stamps[frame.index])

    def points(self, frame: Frame) -> np.ndarray:
        """As ``SequenceSource`` says."""
        return self._dataset.points(frame)

    def point_labels(self, frame: Frame) -> np.ndarray | None:
        """As ``SequenceSource`` says."""
        if not self._dataset.point_label_path(frame).is_file():
            return None
        raw, instances = self._dataset.raw_point_labels(frame)
        return raw | instances.astype(np.uint32) << 16

    def image(self, camera: int, frame: Frame) -> ImageFile | None:
        """As ``SequenceSource`` says; that of camera N lies in ``image_N``."""
        path = self._dataset.image_path(frame, camera)
        return ImageFile(path, self.stamp(frame)) if path.is_file() else None

    def has_truth(self, frame: Frame) -> bool:
        """As ``SequenceSource`` says."""
        masks = (self._dataset.voxel_path(frame, ending).is_file() for ending in BIT_ENDINGS)
        return _has_labels(self._dataset, frame, self._dataset.voxel_path(frame, ".label")) or any(masks)

    def truth_layers(self, frame: Frame) -> dict[str, np.ndarray]:
        """As ``SequenceSource`` says: besides what every layout has, the values of the voxel files."""
        dataset, path = self._dataset, self._dataset.voxel_path(frame, ".label")
        layers = _known_layers(dataset, frame, path)
        if path.is_file():
            layers[RAW_LABELS] = read_labels(path, dataset.grid.shape)
        for ending in BIT_ENDINGS:
            if dataset.voxel_path(frame, ending).is_file():
                layers[MASKS[ending]] = dataset.voxel_mask(frame, ending).view(np.uint8)
        return layers


class Kitti360Source:
    """A drive of KITTI-360; its two perspective cameras have the numbers of KITTI's colour cameras, 2 and 3.

    Raises:
        DataError: a file with times, calibration or poses is there and breaks its format.
    """

    def __init__(self, dataset: Kitti360, sequence: str):
        self._dataset = dataset
        self.labels, self.grid = dataset.labels, dataset.grid
        self.cameras: tuple[SequenceCamera, ...] = ()
        self.camera_mount: np.ndarray | None = None
        self.motion: Motion | None = None
        self.notes: tuple[str, ...] = ()
        self._times_path = dataset.scan_folder(sequence).parent / "timestamps.txt"
        raw = [dataset.raw_number(frame) for frame in dataset.frames(sequences=[sequence], with_truth=False)]
        self._stamps = dict(zip(raw, self._times(np.array(raw, np.int64)).tolist(), strict=True))
        calibration, poses = dataset.calibration_path, dataset.poses_path(sequence)
        if not calibration.is_file():
            self.notes = (f"no camera_info, /tf and /odom: they need {calibration}",)
            return
        known = dataset.calibration.cameras
        self.camera_mount = np.linalg.inv(known.tr)
        self.cameras = _kitti_cameras(known)
        if poses.is_file():
            numbers, places = dataset.poses(sequence)
            self.motion = Motion(self._times(numbers), relative(places))
        else:
            self.notes = (f"no poses on /tf and no /odom: they need {poses}",)

    def stamp(self, frame: Frame) -> int:
        """As ``SequenceSource`` says: of the raw scans' ``timestamps.txt``, or ten raw scans per second."""
        return self._stamps[self._dataset.raw_number(frame)]

    def points(self, frame: Frame) -> np.ndarray:
        """As ``SequenceSource`` says."""
        return self._dataset.points(frame)

    def point_labels(self, frame: Frame) -> np.ndarray | None:
        """None: the layout has none for scans."""
        return None

    def image(self, camera: int, frame: Frame) -> ImageFile | None:
        """As ``SequenceSource`` says: camera 2 is ``image_00``, camera 3 is ``image_01``."""
        path = self._dataset.image_path(frame, camera - 2)
        return ImageFile(path, self.stamp(frame)) if path.is_file() else None

    def _times(self, numbers: np.ndarray) -> np.ndarray:
        """(N,) int64 ns of raw scans."""
        if self._times_path.is_file():
            return read_timestamps(self._times_path, numbers.tolist(), "the raw scans")
        return EPOCH + numbers * PERIOD

    def has_truth(self, frame: Frame) -> bool:
        """As ``SequenceSource`` says."""
        return _has_labels(self._dataset, frame, self._dataset.label_path(frame))

    def truth_layers(self, frame: Frame) -> dict[str, np.ndarray]:
        """As ``SequenceSource`` says."""
        return _known_layers(self._dataset, frame, self._dataset.label_path(frame))


class KittiRawSource:
    """A synced drive of KITTI's raw recordings, at the times of its own files.

    Raises:
        DataError: a file that the drive's scans, images or poses need is missing or breaks its format.
    """

    labels, grid = SemanticKitti.labels, SemanticKitti.grid

    def __init__(self, dataset: KittiRaw, sequence: str):
        self._dataset, self._sequence = dataset, sequence
        self.cameras: tuple[SequenceCamera, ...] = ()
        self.camera_mount: np.ndarray | None = None
        self.motion: Motion | None = None
        notes = []
        if dataset.has_images(sequence):
            known = dataset.calibration(sequence)
            self.camera_mount = np.linalg.inv(known.tr)
            self.cameras = _kitti_cameras(known)
        else:
            notes.append("no images and camera_info: the drive has no image_00 to image_03")
        poses = dataset.poses(sequence)
        if poses is not None:
            self.motion = Motion(poses[0], relative(poses[1]))
        else:
            notes.append("no poses on /tf and no /odom: the drive has no oxts/data")
        self.notes = tuple(notes)

    def stamp(self, frame: Frame) -> int:
        """As ``SequenceSource`` says: when the LiDAR looked forward."""
        return self._dataset.scan_stamps(self._sequence)[frame.index]

    def points(self, frame: Frame) -> np.ndarray:
        """As ``SequenceSource`` says."""
        return self._dataset.points(frame)

    def point_labels(self, frame: Frame) -> np.ndarray | None:
        """None: the layout has none."""
        return None

    def image(self, camera: int, frame: Frame) -> ImageFile | None:
        """As ``SequenceSource`` says: that of the frame's number, at its own time."""
        stamp = self._dataset.image_stamps(self._sequence, camera).get(frame.index)
        return None if stamp is None else ImageFile(self._dataset.image_path(frame, camera), stamp)

    def has_truth(self, frame: Frame) -> bool:
        """Never: the layout has no truth."""
        return False

    def truth_layers(self, frame: Frame) -> dict[str, np.ndarray]:
        """Nothing: the layout has no truth."""
        return {}


Recording = SemanticKitti | Kitti360 | KittiRaw


def open_recording(root: Path, truth_root: Path | None) -> Recording:
    """What a folder holds: SemanticKITTI, KITTI odometry, SSCBench-KITTI-360, or KITTI's raw recordings.

    Raises:
        DataError: none of these.
        ConfigError: a folder with the truth of a layout that has none.
    """
    if not is_kitti_raw(root):
        return open_dataset(root, truth_root)  # type: ignore[return-value]
    if truth_root is not None:
        raise ConfigError(f"Expected KITTI's raw recordings in {root} to come without a folder of labels, since this "
                          f"layout has none, got {truth_root}")
    return KittiRaw(root)


def source_of(dataset: Recording, sequence: str) -> SequenceSource:
    """The sequence of a dataset as a source of messages.

    Raises:
        DataError: a file of the whole sequence is there and breaks its format.
    """
    if isinstance(dataset, KittiRaw):
        return KittiRawSource(dataset, sequence)
    if isinstance(dataset, Kitti360):
        return Kitti360Source(dataset, sequence)
    return SemanticKittiSource(dataset, sequence)


def _kitti_cameras(known: Calibration) -> tuple[SequenceCamera, ...]:
    matrices = enumerate((known.p0, known.p1, known.p2, known.p3))
    return tuple(SequenceCamera(number, matrix) for number, matrix in matrices if matrix is not None)


def _has_labels(dataset: SemanticKitti | Kitti360, frame: Frame, own: Path) -> bool:
    """Whether a frame has voxel labels (``own``) or instance labels."""
    return own.is_file() or any(instance_path(root, frame).is_file() for root in (dataset.truth_root, dataset.root))


def _known_layers(dataset: SemanticKitti | Kitti360, frame: Frame, own: Path) -> dict[str, np.ndarray]:
    """The layers ``semantics`` and ``instance`` of a frame that has labels, as ``_has_labels`` says."""
    if not _has_labels(dataset, frame, own):
        return {}
    truth: VoxelTruth = dataset.truth(frame)
    nothing = (truth.semantics == UNKNOWN) & (truth.instances == 0)
    return {"semantics": truth.semantics,
            "instance": np.where(nothing, np.uint16(_NO_INSTANCE_KNOWN), truth.instances)}
