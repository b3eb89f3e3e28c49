"""A moment in a window of Open3D, to be turned with the mouse."""

from __future__ import annotations

from typing import Any

import numpy as np

from pasco_core.errors import ConfigError, DataError
from pasco_core.viz.moment import Moment
from pasco_core.viz.palette import scale_colours
from pasco_core.viz.panels import CLOUD_HEIGHTS, INPUT, available, voxel_colours


def show_moment(moment: Moment, show: str | None = None) -> None:
    """Opens the window and returns when it is closed.

    Args:
        moment: what is shown.
        show: one of ``SHOWS``; None: the last but the uncertainty that there is.

    Raises:
        ConfigError: Open3D is not installed, or finds no display.
        DataError: the moment does not have it.
    """
    o3d = _open3d()
    there = available(moment)
    chosen = show or next((name for name in ("semantics", INPUT) if name in there), "")
    if chosen not in there:
        raise DataError(f"Expected {moment.name} to have the {chosen or 'scan'}, got {', '.join(there) or 'nothing'}")
    drawn = [_points(o3d, moment) if chosen == INPUT else _voxels(o3d, moment, chosen)]
    drawn.append(o3d.geometry.TriangleMesh.create_coordinate_frame(size=2.0))
    window = o3d.visualization.Visualizer()
    if not window.create_window(window_name=f"{moment.name} · {chosen}", width=1280, height=800):
        raise ConfigError("Expected a display to open a window on, got none; --foxglove FILE.mcap writes a file, "
                          "and `pasco render` draws without one")
    for geometry in drawn:
        window.add_geometry(geometry)
    control = window.get_view_control()
    control.set_lookat(np.array([20.0, 0.0, -1.5]))
    control.set_front(np.array([-0.8, 0.0, 0.6]))
    control.set_up(np.array([0.0, 0.0, 1.0]))
    control.set_zoom(0.35)
    window.run()
    window.destroy_window()


def _open3d() -> Any:
    try:
        import open3d
    except ImportError as error:
        raise ConfigError(
            "Expected the package open3d for a window, got none: pip install 'pasco-ros[viewer]', or write a file "
            "with --foxglove FILE.mcap"
        ) from error
    return open3d


def _cloud(o3d: Any, places: np.ndarray, colours: np.ndarray) -> Any:
    cloud = o3d.geometry.PointCloud()
    cloud.points = o3d.utility.Vector3dVector(np.ascontiguousarray(places, np.float64))
    cloud.colors = o3d.utility.Vector3dVector(colours / 255.0)
    return cloud


def _points(o3d: Any, moment: Moment) -> Any:
    points = np.asarray(moment.points)[:, :3]
    low, high = CLOUD_HEIGHTS
    return _cloud(o3d, points, scale_colours((points[:, 2] - low) / (high - low)))


def _voxels(o3d: Any, moment: Moment, show: str) -> Any:
    scene = moment.scene
    if scene is None:
        raise DataError(f"Expected {moment.name} to have voxels, got none")
    occupied, colours = voxel_colours(show, scene)
    cloud = _cloud(o3d, scene.grid.centre_of(np.argwhere(occupied)), colours[occupied])
    return o3d.geometry.VoxelGrid.create_from_point_cloud(cloud, scene.grid.voxel_size)
