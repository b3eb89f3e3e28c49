"""Moments as one MCAP file of standard ROS messages, which Foxglove, Lichtblick and rerun open."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pasco_core.data.bags.message_classes import message_classes
from pasco_core.data.bags.sequence_messages import EPOCH
from pasco_core.data.bags.writer import BagFormat, BagTopic, BagWriter
from pasco_core.errors import ConfigError
from pasco_core.messages import scene_messages as make
from pasco_core.messages.camera_view import image_message
from pasco_core.messages.markers import instance_markers
from pasco_core.messages.message_types import MESSAGE_TYPES
from pasco_core.viz.moment import Moment
from pasco_core.viz.overlay import draw_overlay, visible_voxels

FRAME = "velodyne"
_PERIOD = 100_000_000
_TOPICS = {
    "/points": "PointCloud2", "/voxels": "PointCloud2", "/instances": "MarkerArray", "/image": "Image",
    "/overlay": "Image",
}


def write_recording(path: str | os.PathLike[str], moments: Iterable[Moment]) -> int:
    """Writes what there is of each moment: cloud, occupied voxels as coloured points, boxes, image and overlay.

    Moments without time follow one another every 0.1 s. The file appears when it is whole, or not at all.

    Returns:
        How many moments are in it.

    Raises:
        ConfigError: the name does not end in .mcap, or the packages for bags are not installed.
        OSError: the place is not writable or full.
    """
    path = Path(path)
    if path.suffix.lower() != ".mcap":
        raise ConfigError(f"Expected the name of the recording to end in .mcap, got {path}")
    folder = path.with_name(f".{path.stem}.bag")
    shutil.rmtree(folder, ignore_errors=True)
    topics = [BagTopic(name, MESSAGE_TYPES[kind]) for name, kind in _TOPICS.items()]
    types, count = message_classes(MESSAGE_TYPES), 0
    try:
        with BagWriter(folder, topics, BagFormat("mcap", compressed=True)) as writer:
            for count, moment in enumerate(moments, 1):
                stamp = moment.stamp or EPOCH + count * _PERIOD
                for topic, message in _messages(types, moment, stamp).items():
                    writer.write(topic, stamp, message)
        os.replace(folder / f"{folder.name}.mcap", path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return count


def _messages(types: Any, moment: Moment, stamp: int) -> dict[str, Any]:
    """Messages by topic."""
    sec, nanosec = divmod(stamp, 1_000_000_000)
    header = types.Header(stamp=types.Time(sec=sec, nanosec=nanosec), frame_id=FRAME)
    messages: dict[str, Any] = {}
    if moment.points is not None:
        messages["/points"] = make.cloud_message(types, moment.points[:, :4], header)
    if moment.scene is not None:
        messages["/voxels"] = make.occupied_points_message(types, moment.scene, header)
        segments = make.segment_array_message(types, moment.scene, header, moment.name)
        messages["/instances"] = instance_markers(types, segments)
    if moment.image is not None:
        messages["/image"] = image_message(types, moment.image.rgb, header)
        if moment.scene is not None:
            seen = visible_voxels(moment.scene, moment.image)
            messages["/overlay"] = image_message(types, draw_overlay(moment.scene, moment.image, seen), header)
    return messages
