"""Pictures of the scenes in the demo's recording, drawn from the messages alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pasco_core.data.cloud_message import decode_cloud
from pasco_core.messages.scene_reader import scene_from_messages
from pasco_core.stream.header_checks import stamp_ns
from pasco_core.viz import save_scene_picture
from pasco_ros.demo.results import Recording, scene_messages
from pasco_ros.demo.topics import CLOUDS, NODE, STATUS


def draw_scenes(bag: Path, recording: Recording, folder: Path) -> list[Path]:
    """Draw the first, the middle and the last published cloud.

    Returns:
        The PNG files, in the order of the clouds.
    """
    clouds = sorted(recording.stamps[CLOUDS])
    published = sorted(stamp_ns(status.header.stamp) for status in recording.published)
    if not published:
        return []
    places = sorted({0, (len(published) - 1) // 2, len(published) - 1})
    files = []
    for place in places:
        number = int(np.searchsorted(clouds, published[place]))
        files.append(folder / f"scene_{number:04d}.png")
        _draw(bag, published[place], number, len(clouds), files[-1])
    return files


def _draw(bag: Path, stamp: int, number: int, of: int, file: Path) -> None:
    found = scene_messages(bag, stamp)
    voxels, status = found[f"{NODE}/voxels"], found[STATUS]
    scene = scene_from_messages(voxels, found[f"{NODE}/segments"])
    milliseconds = 1e3 * float(np.sum(status.stage_seconds))
    save_scene_picture(
        file, decode_cloud(found[CLOUDS], CLOUDS).points, scene,
        title=f"Cloud {number + 1} of {of} through the ROS 2 node, {milliseconds:.0f} ms from reception to publication",
        notes=(f"Weights: {voxels.checkpoint}",),
    )
