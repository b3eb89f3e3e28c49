"""Things as markers for RViz: a box and a caption each."""

from __future__ import annotations

from typing import Any

import numpy as np

from pasco_core.viz.palette import instance_colours


def instance_markers(types: Any, segments: Any) -> Any:
    """A box and a line of text per thing; the first marker removes those of the previous cloud."""
    markers = [types.Marker(header=segments.header, action=types.Marker.DELETEALL)]
    for segment in segments.segments:
        if segment.is_thing:
            markers += [_box(types, segment, segments.header), _caption(types, segment, segments.header)]
    return types.MarkerArray(markers=markers)


def _box(types: Any, segment: Any, header: Any) -> Any:
    red, green, blue = (float(c) / 255 for c in instance_colours(np.array(segment.id)))
    return types.Marker(
        header=header, ns="boxes", id=segment.id, type=types.Marker.CUBE, action=types.Marker.ADD,
        pose=segment.box_pose, scale=segment.box_size,
        color=types.ColorRGBA(r=red, g=green, b=blue, a=0.4),
    )


def _caption(types: Any, segment: Any, header: Any) -> Any:
    centre = segment.box_pose.position
    above = types.Point(x=centre.x, y=centre.y, z=centre.z + segment.box_size.z / 2 + 0.5)
    return types.Marker(
        header=header, ns="captions", id=segment.id, type=types.Marker.TEXT_VIEW_FACING, action=types.Marker.ADD,
        pose=types.Pose(position=above, orientation=types.Quaternion(w=1.0)), scale=types.Vector3(z=0.8),
        color=types.ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0), text=f"{segment.class_name} {segment.confidence:.2f}",
    )
