"""The node's outputs: one table of their names and types, and the builder of their messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pasco_core.data.camera_image import PosedImage
from pasco_core.messages import scene_messages as make
from pasco_core.messages.camera_view import CameraView
from pasco_core.messages.markers import instance_markers
from pasco_core.messages.message_types import MESSAGE_TYPES
from pasco_core.messages.projection import UNKNOWN, project_obstacles, project_uncertainty
from pasco_core.prediction import ScenePrediction
from pasco_core.settings.node_config import NodeConfig
from pasco_core.settings.sensor_settings import CAMERA
from pasco_core.stream.model import Model


@dataclass(frozen=True)
class Output:
    """One output topic, ``~/<name>``; the parameter ``publish_<name>`` switches it.

    Args:
        name: name of the topic in the node's namespace.
        type: of its messages, by the short name of ``MESSAGE_TYPES``.
        latched: whether a subscriber that comes late gets the last message, so that it must always be made.
        needs_camera: whether it exists only where the settings name a camera.
    """

    name: str
    type: str
    latched: bool = False
    needs_camera: bool = False

    @property
    def ros_type(self) -> str:
        """Full name of the type, such as ``nav_msgs/msg/OccupancyGrid``."""
        return MESSAGE_TYPES[self.type]

    def enabled(self, config: NodeConfig) -> bool:
        """Whether the settings switch this output on."""
        return bool(getattr(config, f"publish_{self.name}")) and bool(config.cameras or not self.needs_camera)


OUTPUTS = (
    Output("voxels", "VoxelGrid"),
    Output("occupied_points", "PointCloud2"),
    Output("segments", "SegmentArray", latched=True),
    Output("instances", "MarkerArray", latched=True),
    Output("occupancy_grid", "OccupancyGrid", latched=True),
    Output("uncertainty_grid", "OccupancyGrid", latched=True),
)

CAMERA_OUTPUTS = (Output("overlay", "Image", needs_camera=True),)
"""What is made of a scene and the pictures of cameras."""


def enabled_outputs(config: NodeConfig) -> tuple[Output, ...]:
    """The outputs that the settings switch on."""
    return tuple(output for output in (*OUTPUTS, *CAMERA_OUTPUTS) if output.enabled(config))


class OutputBuilder:
    """Builds the messages of the outputs that somebody can receive.

    Args:
        types: message classes by the short names of ``MESSAGE_TYPES``.
        checkpoint: which weights made the scene, in words.
        wanted: output name -> whether its message is needed now.
    """

    def __init__(self, types: Any, checkpoint: str, wanted: Callable[[str], bool]) -> None:
        self._types = types
        self._checkpoint = checkpoint
        self._wanted = wanted

    def scene(
        self, scene: ScenePrediction, header: Any, config: NodeConfig, pose: np.ndarray | None = None,
        images: Sequence[PosedImage] = (),
    ) -> dict[str, Any]:
        """Messages of a predicted scene by output name.

        Args:
            scene: the prediction.
            header: stamp of its input, and frame of the outputs.
            config: the settings.
            pose: pose (4, 4) of the scene's frame in the header's; None where they are the same.
            images: what cameras saw, posed in the scene's frame.
        """
        types, view = self._types, CameraView(self._types, scene, images)
        segments = make.segment_array_message(types, scene, header, self._checkpoint, pose)
        obstacles = (config.obstacle_min_z, config.obstacle_max_z)

        def plane(cells: np.ndarray) -> Any:
            return make.plane_message(types, cells, scene.grid, header, pose)

        return self._made({
            "voxels": lambda: make.compress_layers(
                make.voxel_grid_message(types, scene, header, self._checkpoint, config.voxel_layers, pose),
                config.voxel_compression,
            ),
            "occupied_points": lambda: make.occupied_points_message(
                types, scene, header, config.uncertainty_threshold, pose,
                view.colours() if config.point_colours == CAMERA else None,
            ),
            "segments": lambda: segments,
            "instances": lambda: instance_markers(types, segments),
            "occupancy_grid": lambda: plane(project_obstacles(scene, *obstacles)),
            "uncertainty_grid": lambda: plane(project_uncertainty(scene)),
            **({"overlay": view.overlay} if images else {}),
        })

    def needs_images(self, config: NodeConfig) -> bool:
        """Whether somebody can receive what is made of images."""
        return self._wanted("overlay") or (config.point_colours == CAMERA and self._wanted("occupied_points"))

    def unknown(
        self, model: Model, header: Any, config: NodeConfig, pose: np.ndarray | None = None
    ) -> dict[str, Any]:
        """Messages that say that nothing is known, by output name; arguments as for ``scene``."""
        types, grid, labels = self._types, model.grid, model.labels
        segments = make.no_segments_message(types, labels, header, self._checkpoint)
        plane = make.plane_message(types, np.full(grid.shape[:2], UNKNOWN, np.int8), grid, header, pose)
        return self._made({
            "voxels": lambda: make.compress_layers(
                make.unknown_voxel_grid_message(
                    types, grid, labels, header, self._checkpoint, config.voxel_layers, pose
                ),
                config.voxel_compression,
            ),
            "occupied_points": lambda: make.no_points_message(types, header),
            "segments": lambda: segments,
            "instances": lambda: instance_markers(types, segments),
            "occupancy_grid": lambda: plane,
            "uncertainty_grid": lambda: plane,
        })

    def _made(self, makers: dict[str, Callable[[], Any]]) -> dict[str, Any]:
        return {name: maker() for name, maker in makers.items() if self._wanted(name)}
