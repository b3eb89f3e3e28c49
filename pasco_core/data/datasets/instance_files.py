"""Instance label files: the voxel truth of one frame as a compressed .npz that any NumPy can read, without pickle."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from pasco_core.atomic_write import atomic_write
from pasco_core.data.datasets.raw_bytes import file_size
from pasco_core.data.frame import UNKNOWN, Frame, VoxelTruth
from pasco_core.data.label_set import LabelSet
from pasco_core.errors import DataError
from pasco_core.geometry import KITTI_GRID

FOLDER = "instances"
"""Folder of the files in the root of a dataset."""


def instance_path(root: str | os.PathLike[str], frame: Frame) -> Path:
    """Where a frame's instance labels are.

    >>> instance_path("labels", Frame("08", 5)).as_posix()
    'labels/instances/08/000005.npz'
    """
    return Path(root) / FOLDER / frame.sequence / f"{frame.index:06d}.npz"


def read_instances(
    path: str | os.PathLike[str], labels: LabelSet, shape: tuple[int, int, int] = KITTI_GRID.shape
) -> VoxelTruth:
    """Voxel truth from an instance label file.

    Raises:
        DataError: no such file, not such an archive, or arrays of another type, shape or range.
    """
    file_size(path, "instance labels")
    try:
        with np.load(path, allow_pickle=False) as archive:
            semantics, instances = archive["semantics"], archive["instances"]
    except KeyError as error:
        raise DataError(f"Expected instance labels {path} to hold 'semantics' and 'instances', got {error}") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, TypeError, AttributeError) as error:
        raise DataError(f"Expected instance labels {path} to be a whole .npz file, got: {error}") from error
    for name, array, dtype in (("semantics", semantics, np.uint8), ("instances", instances, np.uint16)):
        if array.dtype != dtype or array.shape != shape:
            rule = f"{np.dtype(dtype)} of shape {shape}"
            raise DataError(f"Expected '{name}' in {path} to be {rule}, got {array.dtype} of shape {array.shape}")
    check_classes(semantics, labels, path)
    return VoxelTruth(semantics, instances)


def frame_truth(
    frame: Frame,
    roots: Iterable[Path],
    has_voxels: Callable[[Path], bool],
    voxel_classes: Callable[[Frame], np.ndarray],
    labels: LabelSet,
    shape: tuple[int, int, int],
) -> VoxelTruth:
    """A frame's truth from the first root that has some: its instance label file, else its voxel labels.

    Args:
        frame: which one.
        roots: folders of a dataset's layout, the preferred one first.
        has_voxels: whether a root has voxel labels of the frame.
        voxel_classes: reads these labels; their instances are then connected components.
        labels: the dataset's classes.
        shape: of the grid.

    Raises:
        DataError: no truth for this frame, or a file that breaks its format.
    """
    for root in roots:
        path = instance_path(root, frame)
        if path.is_file():
            return read_instances(path, labels, shape)
        if has_voxels(root):
            break
    from pasco_core.data.voxel_labels.instances import label_instances  # it reads datasets itself

    return label_instances(voxel_classes(frame), labels.thing_ids)


def write_instances(path: str | os.PathLike[str], truth: VoxelTruth) -> None:
    """Writes voxel truth as ``read_instances`` reads it, atomically; the folder is made.

    Raises:
        OSError: the folder cannot be made, is not writable or full.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file, semantics=truth.semantics.astype(np.uint8, copy=False),
            instances=truth.instances.astype(np.uint16, copy=False),
        )


def check_classes(semantics: np.ndarray, labels: LabelSet, source: str | os.PathLike[str]) -> None:
    """Every voxel's class is one of the label set's, or unknown.

    Raises:
        DataError: another value; the message names ``source`` and the value.
    """
    wrong = (semantics >= labels.n_classes) & (semantics != UNKNOWN)
    if wrong.any():
        values, counts = np.unique(semantics[wrong], return_counts=True)
        rule = f"0 to {labels.n_classes - 1} or {UNKNOWN} ({labels.name})"
        raise DataError(f"Expected the classes in {source} to be {rule}, got {values[0]} in {counts[0]} voxels")
