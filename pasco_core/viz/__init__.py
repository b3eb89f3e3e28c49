"""Headless pictures of clouds, voxel grids and predictions, with NumPy and Pillow alone."""

from pasco_core.viz.camera import Camera, chase_camera
from pasco_core.viz.moment import Moment
from pasco_core.viz.moment_picture import MomentPainter
from pasco_core.viz.palette import instance_colours, scale_colours, stuff_colours
from pasco_core.viz.point_picture import render_points
from pasco_core.viz.scene_picture import draw_scene, save_scene_picture
from pasco_core.viz.voxel_picture import VoxelView, birds_eye, render_voxels

__all__ = [
    "Camera",
    "Moment",
    "MomentPainter",
    "VoxelView",
    "birds_eye",
    "chase_camera",
    "draw_scene",
    "instance_colours",
    "render_points",
    "render_voxels",
    "save_scene_picture",
    "scale_colours",
    "stuff_colours",
]
