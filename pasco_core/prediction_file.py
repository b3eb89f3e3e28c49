"""A ScenePrediction as one compressed .npz file that any NumPy can read, without pickle.

Keys of the file:

| key | type and shape | meaning |
|---|---|---|
| ``format_version`` | int64 () | 1 |
| ``grid_origin``, ``voxel_size``, ``grid_shape`` | float64 (3,), float64 (), int64 (3,) | minimum corner and edge in metres, voxels along x, y, z |
| ``labels`` | JSON text () | ``name``, ``class_names``, ``thing_ids``, ``colours`` (RGB) |
| ``semantics`` | uint8 (X, Y, Z) | class of each voxel, 0 = empty, 255 = unknown |
| ``panoptic`` | int32 (X, Y, Z) | segment id of each voxel, 0 = none |
| ``voxel_uncertainty`` | float32 (X, Y, Z) | 1 - probability of the most probable class |
| ``mask_confidence`` | float32 (X, Y, Z) | share of the voxel's mask probability its segment holds |
| ``probability_voxels`` | int64 (M,) | flat indices of the voxels with probabilities; the other known ones are empty for certain |
| ``probabilities`` | float32 (M, classes) | probability of each class there |
| ``segments`` | JSON text () | list of objects with the fields of ``Segment`` |
| ``timings`` | JSON text () | seconds per stage, in order |
| ``notes`` | JSON text () | list of texts |
"""  # noqa: E501 (a table)

from __future__ import annotations

import json
import math
import os
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from pasco_core.atomic_write import atomic_write
from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI, LabelSet
from pasco_core.errors import DataError
from pasco_core.geometry import VoxelGrid
from pasco_core.prediction import ScenePrediction, Segment

FORMAT_VERSION = 1
_MAX_BYTES = 2**31
_GRIDS = {"semantics": np.uint8, "panoptic": np.int32, "voxel_uncertainty": np.float32, "mask_confidence": np.float32}
_DAMAGED = (
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    zipfile.BadZipFile,
)


def save_prediction(path: str | os.PathLike[str], scene: ScenePrediction) -> None:
    """Write ``scene``; an interrupted write leaves an existing file as it was.

    Raises:
        DataError: the name does not end in ``.npz``.
        OSError: the folder is missing, not writable or full.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise DataError(f"Expected the name of a prediction to end in .npz, got {path}")
    labels = scene.labels
    content: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "grid_origin": np.asarray(scene.grid.origin, np.float64),
        "voxel_size": np.float64(scene.grid.voxel_size),
        "grid_shape": np.asarray(scene.grid.shape, np.int64),
        "labels": json.dumps(
            {
                "name": labels.name,
                "class_names": labels.class_names,
                "thing_ids": sorted(labels.thing_ids),
                "colours": labels.colours.tolist(),
            }
        ),
        **{name: np.asarray(getattr(scene, name), dtype) for name, dtype in _GRIDS.items()},
        "probability_voxels": np.asarray(scene.probability_voxels, np.int64),
        "probabilities": np.asarray(scene.probabilities, np.float32),
        "segments": json.dumps([segment_values(segment) for segment in scene.segments]),
        "timings": json.dumps(scene.timings),
        "notes": json.dumps(scene.notes),
    }
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **content)


def segment_values(segment: Segment) -> dict[str, Any]:
    """The fields of a segment as plain JSON values."""
    values = {field.name: getattr(segment, field.name) for field in fields(segment)}
    return {key: np.asarray(value).tolist() for key, value in values.items()}


def load_prediction(path: str | os.PathLike[str]) -> ScenePrediction:
    """Read a file of ``save_prediction``.

    Raises:
        DataError: the file is missing, truncated, of another kind or of a newer format version.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"Expected prediction {path} to be an existing file, got nothing there")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _MAX_BYTES:
            raise ValueError(f"{size} bytes, more than {_MAX_BYTES}")
        with np.load(path, allow_pickle=False) as archive:
            content = {name: archive[name] for name in archive.files}
        version = int(content["format_version"])
        if version > FORMAT_VERSION:
            raise ValueError(f"format version {version}, newer than {FORMAT_VERSION}")
        return _scene(content)
    except _DAMAGED as error:
        reason = f"no '{error.args[0]}' in it" if isinstance(error, KeyError) else str(error)
        raise DataError(f"Expected {path} to be a whole prediction file, got {reason}") from error


def _scene(content: dict[str, np.ndarray]) -> ScenePrediction:
    """The scene of the file's arrays, each checked against the grid and the label set."""
    shape, origin = content["grid_shape"].tolist(), content["grid_origin"].tolist()
    voxel_size = float(content["voxel_size"])
    if len(shape) != 3 or min(shape) < 1 or len(origin) != 3 or not voxel_size > 0:
        raise ValueError(f"a grid of shape {shape}, origin {origin} and voxel size {voxel_size}")
    grid = VoxelGrid((origin[0], origin[1], origin[2]), voxel_size, (shape[0], shape[1], shape[2]))
    labels = _labels(json.loads(str(content["labels"])))
    grids = {name: _checked(content, name, grid.shape, dtype) for name, dtype in _GRIDS.items()}
    voxels = _checked(content, "probability_voxels", (content["probability_voxels"].size,), np.int64)
    if voxels.size and (voxels.min() < 0 or voxels.max() >= math.prod(shape)):
        raise ValueError("probability_voxels outside the grid")
    probabilities = _checked(content, "probabilities", (voxels.size, labels.n_classes), np.float32)
    segments = [
        Segment(**{**values, "class_probabilities": np.asarray(values["class_probabilities"], np.float32)})
        for values in json.loads(str(content["segments"]))
    ]
    return ScenePrediction(
        grid=grid,
        labels=labels,
        segments=segments,
        probability_voxels=voxels,
        probabilities=probabilities,
        timings=json.loads(str(content["timings"])),
        notes=tuple(json.loads(str(content["notes"]))),
        **grids,
    )


def _checked(content: dict[str, np.ndarray], name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
    array = content[name]
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name} {array.dtype} {array.shape} instead of {np.dtype(dtype)} {shape}")
    return array


def _labels(values: dict[str, Any]) -> LabelSet:
    """The known label set of that name and classes, or a new one."""
    names = tuple(values["class_names"])
    for known in (SEMANTIC_KITTI, KITTI_360):
        if (values["name"], names) == (known.name, known.class_names):
            return known
    colours = np.asarray(values["colours"], np.uint8)
    if colours.shape != (len(names), 3):
        raise ValueError(f"colours {colours.shape} for {len(names)} classes")
    return LabelSet(values["name"], names, frozenset(values["thing_ids"]), colours)
