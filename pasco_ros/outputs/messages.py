"""From the core's types to ROS messages: the only module that knows both.

Arrays become ``bytes`` before they are put into a message: rclpy copies bytes at once but other types value by value.
"""

from __future__ import annotations

import array
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from nav_msgs.msg import MapMetaData, OccupancyGrid
from pasco.msg import FrameStatus, VoxelGrid, VoxelLayer
from pasco.msg import Segment as SegmentMessage
from pasco.msg import SegmentArray as SegmentArrayMessage
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from pasco_core.data.label_set import LabelSet
from pasco_core.geometry import VoxelGrid as Grid
from pasco_core.prediction import ScenePrediction, Segment
from pasco_core.viz.palette import instance_colours
from pasco_ros.outputs.projection import UNKNOWN_CLASS, occupied_mask
from pasco_ros.reporting.health import Condition
from pasco_ros.reporting.outcomes import FrameReport, Verdict

PROBABILITY_STEPS = 254
"""A probability is sent as a byte of this many steps, so that 255 stays free for "unknown"."""
NO_SEGMENT, UNKNOWN_SEGMENT = 0, 65535

_OCCUPIED_POINT = np.dtype([
    ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4"), ("label", "<u4"), ("instance", "<u4"),
    ("uncertainty", "<f4"),
])
# RViz and PCL expect the three colour bytes in a field declared as a float.
_DECLARED = {"rgb": PointField.FLOAT32, "label": PointField.UINT32, "instance": PointField.UINT32}


def cloud_message(points: np.ndarray, header: Header) -> PointCloud2:
    """A PointCloud2 of points (N, 4), x y z in metres and intensity, as float32 fields."""
    data = np.ascontiguousarray(points, "<f4")
    fields = [PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
              for i, name in enumerate(("x", "y", "z", "intensity"))]
    n = len(data)
    return PointCloud2(header=header, height=1, width=n, fields=fields, is_bigendian=False, point_step=16,
                       row_step=16 * n, data=data.tobytes(), is_dense=True)


def voxel_grid_message(
    scene: ScenePrediction, header: Header, checkpoint: str, layers: Sequence[str]
) -> VoxelGrid:
    """The scene as a dense grid with the named layers of VoxelLayer.msg.

    Raises:
        KeyError: a layer's name is not known.
    """
    makers = {
        VoxelLayer.SEMANTICS: lambda: (VoxelLayer.UINT8, 1.0, scene.semantics.astype(np.uint8)),
        VoxelLayer.INSTANCE: lambda: (VoxelLayer.UINT16, 1.0, scene.panoptic.astype("<u2")),
        VoxelLayer.OCCUPANCY: lambda: _probability(scene.occupancy_probability()),
        VoxelLayer.UNCERTAINTY: lambda: _probability(scene.voxel_uncertainty),
    }
    made = {name: makers[name]() for name in layers}
    return _voxel_grid(scene.grid, scene.labels, header, checkpoint, made)


def unknown_voxel_grid_message(
    grid: Grid, labels: LabelSet, header: Header, checkpoint: str, layers: Sequence[str]
) -> VoxelGrid:
    """A grid of which nothing is known: every layer holds its "unknown" value everywhere."""
    encodings = {VoxelLayer.INSTANCE: (VoxelLayer.UINT16, 1.0, np.full(grid.shape, UNKNOWN_SEGMENT, "<u2"))}
    semantics = (VoxelLayer.UINT8, 1.0, np.full(grid.shape, UNKNOWN_CLASS, np.uint8))
    probability = (VoxelLayer.UINT8, 1.0 / PROBABILITY_STEPS, semantics[2])
    made = {
        name: semantics if name == VoxelLayer.SEMANTICS else encodings.get(name, probability) for name in layers
    }
    return _voxel_grid(grid, labels, header, checkpoint, made)


def segment_array_message(scene: ScenePrediction, header: Header, checkpoint: str) -> SegmentArrayMessage:
    """The segments with the boxes around their voxels; those without a voxel are left out."""
    boxes = segment_boxes(scene)
    segments = [_segment(s, scene.labels, *boxes[s.id]) for s in scene.segments if s.id in boxes]
    return SegmentArrayMessage(
        header=header, label_set=scene.labels.name, checkpoint=checkpoint, segments=segments
    )


def no_segments_message(labels: LabelSet, header: Header, checkpoint: str) -> SegmentArrayMessage:
    """An array without a segment."""
    return SegmentArrayMessage(header=header, label_set=labels.name, checkpoint=checkpoint)


def occupied_points_message(scene: ScenePrediction, header: Header, uncertainty_threshold: float = 1.0) -> PointCloud2:
    """Centres of the occupied voxels with colour, class, segment and uncertainty.

    Args:
        scene: the prediction.
        header: stamp and frame of its input.
        uncertainty_threshold: voxels more uncertain than this are left out; 1 keeps all.
    """
    flat = np.flatnonzero(occupied_mask(scene) & ~(scene.voxel_uncertainty > uncertainty_threshold))
    centres = scene.grid.centre_of(np.column_stack(np.unravel_index(flat, scene.grid.shape)))
    points = np.zeros(len(flat), _OCCUPIED_POINT)
    for axis, name in enumerate("xyz"):
        points[name] = centres[:, axis]
    points["label"] = scene.semantics.reshape(-1)[flat]
    red, green, blue = scene.labels.colours.astype(np.uint32)[points["label"]].T
    points["rgb"] = red << 16 | green << 8 | blue
    points["instance"] = scene.panoptic.reshape(-1)[flat]
    points["uncertainty"] = scene.voxel_uncertainty.reshape(-1)[flat]
    return _points_message(points, header)


def no_points_message(header: Header) -> PointCloud2:
    """A cloud with the fields of the occupied voxels and no point."""
    return _points_message(np.zeros(0, _OCCUPIED_POINT), header)


def instance_markers(segments: SegmentArrayMessage) -> MarkerArray:
    """A box and a line of text per thing; the first marker removes those of the previous cloud."""
    markers = [Marker(header=segments.header, action=Marker.DELETEALL)]
    for segment in segments.segments:
        if segment.is_thing:
            markers += [_box(segment, segments.header), _caption(segment, segments.header)]
    return MarkerArray(markers=markers)


def plane_message(cells: np.ndarray, grid: Grid, header: Header) -> OccupancyGrid:
    """A ground-plane projection as OccupancyGrid; its origin lies at the lower corner of the scene's grid.

    Args:
        cells: (size_x, size_y) int8, 0..100 or -1.
        grid: the scene's grid.
        header: stamp and frame of its input.
    """
    x, y, z = grid.origin
    info = MapMetaData(
        map_load_time=header.stamp, resolution=float(grid.voxel_size), width=grid.shape[0], height=grid.shape[1],
        origin=Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(w=1.0)),
    )
    return OccupancyGrid(header=header, info=info, data=array.array("b", cells.T.astype(np.int8).tobytes()))


def status_message(header: Header, verdict: Verdict, report: FrameReport, counts: Sequence[int]) -> FrameStatus:
    """The status of one input cloud; ``counts`` are the clouds by outcome, this one included."""
    return FrameStatus(
        header=header, outcome=int(verdict.outcome), code=verdict.code, message=verdict.message,
        points_in=report.points_in, points_in_range=report.points_in_range, occupied_voxels=report.occupied_voxels,
        n_segments=report.n_segments, age=report.age, stage_names=list(report.stages),
        stage_seconds=[float(seconds) for seconds in report.stages.values()],
        frames_received=sum(counts), frames_by_outcome=list(counts),
    )


def diagnostics_message(conditions: Sequence[Condition], node: str, hardware: str, stamp: Time) -> DiagnosticArray:
    """The conditions of a node for /diagnostics.

    Args:
        conditions: as ``health.assess`` gives them.
        node: name of the node, which each condition's name begins with.
        hardware: what the aggregator groups by, here the weights.
        stamp: the node's time.
    """
    statuses = [
        DiagnosticStatus(
            level=bytes([condition.level]), name=f"{node}: {condition.name}", message=condition.message,
            hardware_id=hardware, values=[KeyValue(key=key, value=value) for key, value in condition.values.items()],
        )
        for condition in conditions
    ]
    return DiagnosticArray(header=Header(stamp=stamp), status=statuses)


def segment_boxes(scene: ScenePrediction) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Lower and upper corner (3,) in metres of the axis-aligned box around each segment's voxels, by segment id."""
    flat = np.flatnonzero(scene.panoptic)
    ids = scene.panoptic.reshape(-1)[flat]
    order = np.argsort(ids, kind="stable")
    flat, ids = flat[order], ids[order]
    unique, starts = np.unique(ids, return_index=True)
    if len(unique) == 0:
        return {}
    voxels = np.column_stack(np.unravel_index(flat, scene.grid.shape))
    lower = np.minimum.reduceat(voxels, starts) * scene.grid.voxel_size + np.asarray(scene.grid.origin)
    upper = (np.maximum.reduceat(voxels, starts) + 1) * scene.grid.voxel_size + np.asarray(scene.grid.origin)
    return {int(number): (lower[i], upper[i]) for i, number in enumerate(unique)}


def _voxel_grid(grid: Grid, labels: LabelSet, header: Header, checkpoint: str, layers: dict) -> VoxelGrid:
    x, y, z = grid.origin
    return VoxelGrid(
        header=header, origin=Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(w=1.0)),
        voxel_size=float(grid.voxel_size), size_x=grid.shape[0], size_y=grid.shape[1], size_z=grid.shape[2],
        class_names=list(labels.class_names), label_set=labels.name, checkpoint=checkpoint,
        layers=[
            VoxelLayer(name=name, encoding=encoding, scale=scale, offset=0.0, data=values.tobytes())
            for name, (encoding, scale, values) in layers.items()
        ],
    )


def _probability(values: np.ndarray) -> tuple[int, float, np.ndarray]:
    raw = np.rint(np.clip(values, 0.0, 1.0) * PROBABILITY_STEPS).astype(np.uint8)
    return VoxelLayer.UINT8, 1.0 / PROBABILITY_STEPS, raw


def _segment(segment: Segment, labels: LabelSet, lower: np.ndarray, upper: np.ndarray) -> SegmentMessage:
    centre, size = (lower + upper) / 2, upper - lower
    return SegmentMessage(
        id=int(segment.id), class_id=int(segment.category), class_name=labels.class_names[segment.category],
        is_thing=bool(segment.is_thing), confidence=float(segment.confidence),
        uncertainty=1.0 - float(segment.confidence),
        class_probabilities=np.asarray(segment.class_probabilities, float).tolist(), n_voxels=int(segment.n_voxels),
        box_centre=Point(x=float(centre[0]), y=float(centre[1]), z=float(centre[2])),
        box_size=Vector3(x=float(size[0]), y=float(size[1]), z=float(size[2])),
    )


def _points_message(points: np.ndarray, header: Header) -> PointCloud2:
    offsets = {name: offset for name, (_, offset, *_) in (points.dtype.fields or {}).items()}
    fields = [
        PointField(name=name, offset=offset, datatype=_DECLARED.get(name, PointField.FLOAT32), count=1)
        for name, offset in offsets.items()
    ]
    step = points.dtype.itemsize
    return PointCloud2(header=header, height=1, width=len(points), fields=fields, is_bigendian=False, point_step=step,
                       row_step=step * len(points), data=points.tobytes(), is_dense=True)


def _box(segment: SegmentMessage, header: Header) -> Marker:
    red, green, blue = (float(c) / 255 for c in instance_colours(np.array(segment.id)))
    return Marker(
        header=header, ns="boxes", id=segment.id, type=Marker.CUBE, action=Marker.ADD,
        pose=Pose(position=segment.box_centre, orientation=Quaternion(w=1.0)), scale=segment.box_size,
        color=ColorRGBA(r=red, g=green, b=blue, a=0.4),
    )


def _caption(segment: SegmentMessage, header: Header) -> Marker:
    centre = segment.box_centre
    above = Point(x=centre.x, y=centre.y, z=centre.z + segment.box_size.z / 2 + 0.5)
    return Marker(
        header=header, ns="captions", id=segment.id, type=Marker.TEXT_VIEW_FACING, action=Marker.ADD,
        pose=Pose(position=above, orientation=Quaternion(w=1.0)), scale=Vector3(z=0.8),
        color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0), text=f"{segment.class_name} {segment.confidence:.2f}",
    )
