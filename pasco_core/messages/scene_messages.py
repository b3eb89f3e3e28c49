"""ROS messages of scenes, whichever middleware's classes they are made of: rclpy's or a bag's.

``types`` is a namespace with a class under every short name of ``MESSAGE_TYPES``. Arrays become ``bytes`` before they
are put into a message: rclpy copies bytes at once but other types value by value.
"""

from __future__ import annotations

import array
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pasco_core.data.label_set import LabelSet
from pasco_core.data.layer_codec import COMPRESSIONS, NONE, compress
from pasco_core.data.voxel_message import ENCODINGS
from pasco_core.geometry import VoxelGrid as Grid
from pasco_core.geometry.poses import moved_points, quaternion_of
from pasco_core.geometry.voxel_boxes import voxel_boxes
from pasco_core.messages.projection import UNKNOWN_CLASS, occupied_mask
from pasco_core.prediction import ScenePrediction, Segment
from pasco_core.stream.outcomes import FrameReport, Verdict

PROBABILITY_STEPS = 254
"""A probability is sent as a byte of this many steps, so that 255 stays free for "unknown"."""
NO_SEGMENT, UNKNOWN_SEGMENT = 0, 65535

_OCCUPIED_POINT = np.dtype([
    ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4"), ("label", "<u4"), ("instance", "<u4"),
    ("uncertainty", "<f4"),
])
_FLOAT32, _UINT32, _UINT16 = 7, 6, 4  # sensor_msgs/PointField
# RViz and PCL expect the three colour bytes in a field declared as a float.
_DECLARED = {"rgb": _FLOAT32, "label": _UINT32, "instance": _UINT32, "ring": _UINT16}


def cloud_message(types: Any, points: np.ndarray, header: Any) -> Any:
    """A PointCloud2 of points (N, 4), x y z in metres and intensity, as float32 fields."""
    data = np.ascontiguousarray(points, "<f4")
    fields = [types.PointField(name=name, offset=4 * i, datatype=_FLOAT32, count=1)
              for i, name in enumerate(("x", "y", "z", "intensity"))]
    n = len(data)
    return types.PointCloud2(header=header, height=1, width=n, fields=fields, is_bigendian=False, point_step=16,
                             row_step=16 * n, data=data.tobytes(), is_dense=True)


def voxel_grid_message(
    types: Any, scene: ScenePrediction, header: Any, checkpoint: str, layers: Sequence[str],
    pose: np.ndarray | None = None,
) -> Any:
    """The scene as a dense grid with the named layers of VoxelLayer.msg; where its class is unknown, every layer is.

    Args:
        types: message classes.
        scene: the prediction.
        header: stamp of its input, and frame of the message.
        checkpoint: which weights made it, in words.
        layers: names of the layers.
        pose: pose (4, 4) of the scene's frame in the header's; None where they are the same.

    Raises:
        KeyError: a layer's name is not known.
    """
    unknown = scene.semantics == UNKNOWN_CLASS
    makers = {
        types.VoxelLayer.SEMANTICS: lambda: (types.VoxelLayer.UINT8, 1.0, scene.semantics.astype(np.uint8)),
        types.VoxelLayer.INSTANCE: lambda: (types.VoxelLayer.UINT16, 1.0, _segment_ids(scene.panoptic, unknown)),
        types.VoxelLayer.OCCUPANCY: lambda: _probability(types, scene.occupancy_probability(), unknown),
        types.VoxelLayer.UNCERTAINTY: lambda: _probability(types, scene.voxel_uncertainty, unknown),
    }
    made = {name: makers[name]() for name in layers}
    return layered_grid_message(types, scene.grid, scene.labels, header, checkpoint, made, pose)


def unknown_voxel_grid_message(
    types: Any, grid: Grid, labels: LabelSet, header: Any, checkpoint: str, layers: Sequence[str],
    pose: np.ndarray | None = None,
) -> Any:
    """A grid of which nothing is known: every layer holds its "unknown" value everywhere; ``pose`` as elsewhere."""
    layer = types.VoxelLayer
    encodings = {layer.INSTANCE: (layer.UINT16, 1.0, np.full(grid.shape, UNKNOWN_SEGMENT, "<u2"))}
    semantics = (layer.UINT8, 1.0, np.full(grid.shape, UNKNOWN_CLASS, np.uint8))
    probability = (layer.UINT8, 1.0 / PROBABILITY_STEPS, semantics[2])
    made = {name: semantics if name == layer.SEMANTICS else encodings.get(name, probability) for name in layers}
    return layered_grid_message(types, grid, labels, header, checkpoint, made, pose)


def segment_array_message(
    types: Any, scene: ScenePrediction, header: Any, checkpoint: str, pose: np.ndarray | None = None
) -> Any:
    """The segments with the boxes around their voxels; those without a voxel are left out.

    Args:
        types: message classes.
        scene: the prediction.
        header: stamp of its input, and frame of the message.
        checkpoint: which weights made it, in words.
        pose: pose (4, 4) of the scene's frame in the header's; None where they are the same.
    """
    boxes = segment_boxes(scene)
    segments = [_segment(types, s, scene.labels, *boxes[s.id], pose) for s in scene.segments if s.id in boxes]
    return types.SegmentArray(
        header=header, label_set=scene.labels.name, checkpoint=checkpoint, segments=segments
    )


def no_segments_message(types: Any, labels: LabelSet, header: Any, checkpoint: str) -> Any:
    """An array without a segment."""
    return types.SegmentArray(header=header, label_set=labels.name, checkpoint=checkpoint)


def occupied_points_message(
    types: Any, scene: ScenePrediction, header: Any, uncertainty_threshold: float = 1.0, pose: np.ndarray | None = None,
    colours: tuple[np.ndarray, np.ndarray] | None = None,
) -> Any:
    """Centres of the occupied voxels with colour, class, segment and uncertainty.

    Args:
        types: message classes.
        scene: the prediction.
        header: stamp of its input, and frame of the message.
        uncertainty_threshold: voxels more uncertain than this are left out; 1 keeps all.
        pose: pose (4, 4) of the scene's frame in the header's; None where they are the same.
        colours: flat voxel indices (M,) and colours (M, 3) uint8 that some voxels have instead of their class's.
    """
    flat = np.flatnonzero(occupied_mask(scene) & ~(scene.voxel_uncertainty > uncertainty_threshold))
    centres = scene.grid.centre_of(np.column_stack(np.unravel_index(flat, scene.grid.shape)))
    if pose is not None:
        centres = moved_points(centres, pose)
    points = np.zeros(len(flat), _OCCUPIED_POINT)
    for axis, name in enumerate("xyz"):
        points[name] = centres[:, axis]
    points["label"] = scene.semantics.reshape(-1)[flat]
    rgb = scene.labels.colours.astype(np.uint32)[points["label"]]
    if colours is not None:
        _, own, other = np.intersect1d(flat, colours[0], assume_unique=True, return_indices=True)
        rgb[own] = colours[1][other]
    red, green, blue = rgb.T
    points["rgb"] = red << 16 | green << 8 | blue
    points["instance"] = scene.panoptic.reshape(-1)[flat]
    points["uncertainty"] = scene.voxel_uncertainty.reshape(-1)[flat]
    return structured_cloud_message(types, points, header)


def no_points_message(types: Any, header: Any) -> Any:
    """A cloud with the fields of the occupied voxels and no point."""
    return structured_cloud_message(types, np.zeros(0, _OCCUPIED_POINT), header)


def plane_message(types: Any, cells: np.ndarray, grid: Grid, header: Any, pose: np.ndarray | None = None) -> Any:
    """A ground-plane projection as OccupancyGrid; its origin lies at the lower corner of the scene's grid.

    Args:
        types: message classes.
        cells: (size_x, size_y) int8, 0..100 or -1.
        grid: the scene's grid.
        header: stamp of its input, and frame of the message.
        pose: pose (4, 4) of the scene's frame in the header's; None where they are the same.
    """
    info = types.MapMetaData(
        map_load_time=header.stamp, resolution=float(grid.voxel_size), width=grid.shape[0], height=grid.shape[1],
        origin=_pose_message(types, grid.origin, pose),
    )
    return types.OccupancyGrid(header=header, info=info, data=array.array("b", cells.T.astype(np.int8).tobytes()))


def status_message(types: Any, cloud: Any, verdict: Verdict, report: FrameReport, counts: Sequence[int]) -> Any:
    """The status of one input cloud.

    Args:
        types: message classes.
        cloud: has ``message.header``, ``topic`` and ``points_in``.
        verdict: its outcome.
        report: what is known about it.
        counts: the clouds by outcome, this one included.
    """
    return types.FrameStatus(
        header=cloud.message.header, outcome=int(verdict.outcome), topic=cloud.topic, code=verdict.code,
        message=verdict.message, points_in=cloud.points_in, points_in_range=report.points_in_range,
        occupied_voxels=report.occupied_voxels, n_segments=report.n_segments, age=report.age, effort=report.effort,
        stage_names=list(report.stages),
        stage_seconds=[float(seconds) for seconds in report.stages.values()],
        frames_received=sum(counts), frames_by_outcome=list(counts),
    )


def layered_grid_message(
    types: Any, grid: Grid, labels: LabelSet, header: Any, checkpoint: str, layers: dict, pose: np.ndarray | None = None
) -> Any:
    """A dense grid of layers: name -> (encoding, scale, values of the grid's shape); ``pose`` as elsewhere."""
    return types.VoxelGrid(
        header=header, origin=_pose_message(types, grid.origin, pose),
        voxel_size=float(grid.voxel_size), size_x=grid.shape[0], size_y=grid.shape[1], size_z=grid.shape[2],
        class_names=list(labels.class_names), label_set=labels.name, checkpoint=checkpoint,
        layers=[
            types.VoxelLayer(name=name, encoding=encoding, scale=scale, offset=0.0, data=values.tobytes())
            for name, (encoding, scale, values) in layers.items()
        ],
    )


def compress_layers(message: Any, compression: str) -> Any:
    """The same grid with the data of its layers compressed; ``compression`` is a name of ``COMPRESSIONS``."""
    number = COMPRESSIONS[compression]
    for layer in message.layers if number != NONE else ():
        values = np.frombuffer(layer.data, ENCODINGS[layer.encoding][0])
        layer.data, layer.compression = compress(values, number), number
    return message


def structured_cloud_message(types: Any, points: np.ndarray, header: Any) -> Any:
    """A PointCloud2 with the fields of a packed structured array (N,); all are float32 but those in ``_DECLARED``."""
    offsets = {name: offset for name, (_, offset, *_) in (points.dtype.fields or {}).items()}
    fields = [
        types.PointField(name=name, offset=offset, datatype=_DECLARED.get(name, _FLOAT32), count=1)
        for name, offset in offsets.items()
    ]
    step = points.dtype.itemsize
    return types.PointCloud2(header=header, height=1, width=len(points), fields=fields, is_bigendian=False,
                             point_step=step, row_step=step * len(points), data=points.tobytes(), is_dense=True)


def segment_boxes(scene: ScenePrediction) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Lower and upper corner (3,) in metres of the axis-aligned box around each segment's voxels, by segment id."""
    size, origin = scene.grid.voxel_size, np.asarray(scene.grid.origin)
    return {
        number: (lower * size + origin, (upper + 1) * size + origin)
        for number, (lower, upper) in voxel_boxes(scene.panoptic).items()
    }


def _segment_ids(ids: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    raw = ids.astype("<u2")
    raw[unknown] = UNKNOWN_SEGMENT
    return raw


def _probability(types: Any, values: np.ndarray, unknown: np.ndarray) -> tuple[int, float, np.ndarray]:
    raw = np.rint(np.clip(values, 0.0, 1.0) * PROBABILITY_STEPS).astype(np.uint8)
    raw[unknown] = UNKNOWN_CLASS
    return types.VoxelLayer.UINT8, 1.0 / PROBABILITY_STEPS, raw


def _pose_message(types: Any, position: Sequence[float], pose: np.ndarray | None) -> Any:
    """A place in the scene's frame, with that frame's axes, as a pose in the frame of the message."""
    if pose is None:
        x, y, z = position
        place = types.Point(x=float(x), y=float(y), z=float(z))
        return types.Pose(position=place, orientation=types.Quaternion(w=1.0))
    (x, y, z), (qx, qy, qz, qw) = moved_points(np.asarray([position]), pose)[0].tolist(), quaternion_of(pose)
    return types.Pose(position=types.Point(x=x, y=y, z=z), orientation=types.Quaternion(x=qx, y=qy, z=qz, w=qw))


def _segment(
    types: Any, segment: Segment, labels: LabelSet, lower: np.ndarray, upper: np.ndarray, pose: np.ndarray | None
) -> Any:
    centre, size = (lower + upper) / 2, upper - lower
    return types.Segment(
        id=int(segment.id), class_id=int(segment.category), class_name=labels.class_names[segment.category],
        is_thing=bool(segment.is_thing), confidence=float(segment.confidence),
        uncertainty=1.0 - float(segment.confidence),
        class_probabilities=np.asarray(segment.class_probabilities, float).tolist(), n_voxels=int(segment.n_voxels),
        box_pose=_pose_message(types, centre, pose),
        box_size=types.Vector3(x=float(size[0]), y=float(size[1]), z=float(size[2])),
        velocity=types.Vector3(x=math.nan, y=math.nan, z=math.nan),
    )
