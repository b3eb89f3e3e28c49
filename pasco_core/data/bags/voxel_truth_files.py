"""Voxel truth from a bag as SemanticKITTI's voxel files and our instance labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pasco_core.data.bags.sequence_sources import MASKS, RAW_LABELS
from pasco_core.data.datasets.instance_files import instance_path, write_instances
from pasco_core.data.datasets.semantic_kitti_ids import CLASS_OF_RAW, RAW_OF_CLASS, UNLISTED
from pasco_core.data.datasets.voxel_files import voxel_path, write_bits, write_labels
from pasco_core.data.frame import UNKNOWN, Frame, VoxelTruth
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.voxel_message import grid_of, layer_names, raw_layer
from pasco_core.errors import DataError
from pasco_core.geometry import KITTI_GRID

_RAW_OF_NAME = {name: int(RAW_OF_CLASS[i]) for i, name in enumerate(SEMANTIC_KITTI.class_names)}
_RAW_OF_NAME.update({"other-structure": 52, "other-object": 99})  # SSCBench-KITTI-360's, which SemanticKITTI ignores


def write_truth(root: Path, frame: Frame, voxels: Any) -> None:
    """The files of one frame's VoxelGrid, unless all are there: ``.label``, ``.invalid``, other masks, and instances.

    Raises:
        DataError: another grid than SemanticKITTI's, an unknown class, or a layer that breaks its format.
        OSError: the folder is not writable or full.
    """
    grid = grid_of(voxels)
    if grid != KITTI_GRID:
        raise DataError(f"Expected the voxel truth of {frame} to lie on {KITTI_GRID}, got {grid}")
    folder, names = root / "sequences" / frame.sequence, layer_names(voxels)
    if _is_written(root, frame, names):
        return
    (folder / "voxels").mkdir(parents=True, exist_ok=True)
    for ending, name in MASKS.items():
        if name in names:
            write_bits(voxel_path(folder, frame.index, ending), raw_layer(voxels, name)[0].astype(bool))
    if RAW_LABELS in names:
        write_labels(voxel_path(folder, frame.index, ".label"), raw_layer(voxels, RAW_LABELS)[0].astype(np.uint16))
    if "semantics" in names:
        _write_classes(root, frame, voxels, names)


def _is_written(root: Path, frame: Frame, names: tuple[str, ...]) -> bool:
    endings = {ending for ending, name in MASKS.items() if name in names}
    if "semantics" in names:
        endings |= {".label", ".invalid"}
    paths = [voxel_path(root / "sequences" / frame.sequence, frame.index, ending) for ending in endings]
    if {"semantics", "instance"} <= set(names):
        paths.append(instance_path(root, frame))
    return all(path.is_file() for path in paths)


def _write_classes(root: Path, frame: Frame, voxels: Any, names: tuple[str, ...]) -> None:
    """What the layers ``semantics`` and ``instance`` tell beyond SemanticKITTI's own values."""
    folder = root / "sequences" / frame.sequence
    classes, unknown = raw_layer(voxels, "semantics")
    raw = _raw_ids(voxels.class_names)[classes]
    if MASKS[".invalid"] not in names:
        write_bits(voxel_path(folder, frame.index, ".invalid"), unknown)
    if RAW_LABELS not in names:
        write_labels(voxel_path(folder, frame.index, ".label"), raw)
    if "instance" in names:
        instances, none = raw_layer(voxels, "instance")
        known = np.where(unknown, np.uint8(UNKNOWN), _classes(raw))
        write_instances(instance_path(root, frame), VoxelTruth(known, np.where(none, np.uint16(0), instances)))


def _raw_ids(class_names: list[str]) -> np.ndarray:
    """(256,) uint16: raw id of a class of the message; 0 for unknown."""
    table = np.zeros(256, np.uint16)
    for number, name in enumerate(class_names):
        if name not in _RAW_OF_NAME:
            rule = "SemanticKITTI's or SSCBench-KITTI-360's"
            raise DataError(f"Expected the classes of the voxel truth to be {rule}, got {name!r}")
        table[number] = _RAW_OF_NAME[name]
    return table


def _classes(raw: np.ndarray) -> np.ndarray:
    classes = CLASS_OF_RAW[raw]
    return np.where(classes == UNLISTED, np.uint8(UNKNOWN), classes)
