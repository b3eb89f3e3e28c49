"""The node's outputs: one table of names, types and QoS, and the builder of their messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from nav_msgs.msg import OccupancyGrid
from pasco.msg import SegmentArray, VoxelGrid
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from pasco_core.prediction import ScenePrediction
from pasco_ros.computing.model import Model
from pasco_ros.outputs import messages
from pasco_ros.outputs.projection import UNKNOWN, project_obstacles, project_uncertainty
from pasco_ros.qos import LARGE_OUTPUT, LATCHED_OUTPUT
from pasco_ros.settings.node_config import NodeConfig


@dataclass(frozen=True)
class Output:
    """One output topic, ``~/<name>``; the parameter ``publish_<name>`` switches it.

    Args:
        name: name of the topic in the node's namespace.
        type: message type.
        qos: quality of service of the publisher.
        latched: whether a subscriber that comes late gets the last message, so that it must always be made.
    """

    name: str
    type: type
    qos: QoSProfile
    latched: bool

    def enabled(self, config: NodeConfig) -> bool:
        """Whether the settings switch this output on."""
        return bool(getattr(config, f"publish_{self.name}"))


OUTPUTS = (
    Output("voxels", VoxelGrid, LARGE_OUTPUT, False),
    Output("occupied_points", PointCloud2, LARGE_OUTPUT, False),
    Output("segments", SegmentArray, LATCHED_OUTPUT, True),
    Output("instances", MarkerArray, LATCHED_OUTPUT, True),
    Output("occupancy_grid", OccupancyGrid, LATCHED_OUTPUT, True),
    Output("uncertainty_grid", OccupancyGrid, LATCHED_OUTPUT, True),
)


class OutputBuilder:
    """Builds the messages of the outputs that somebody can receive.

    Args:
        checkpoint: which weights made the scene, in words.
        wanted: output name -> whether its message is needed now.
    """

    def __init__(self, checkpoint: str, wanted: Callable[[str], bool]) -> None:
        self._checkpoint = checkpoint
        self._wanted = wanted

    def scene(self, scene: ScenePrediction, header: Header, config: NodeConfig) -> dict[str, Any]:
        """Messages of a predicted scene by output name."""
        segments = messages.segment_array_message(scene, header, self._checkpoint)
        band = (config.obstacle_min_z, config.obstacle_max_z)
        return self._made({
            "voxels": lambda: messages.voxel_grid_message(scene, header, self._checkpoint, config.voxel_layers),
            "occupied_points": lambda: messages.occupied_points_message(scene, header, config.uncertainty_threshold),
            "segments": lambda: segments,
            "instances": lambda: messages.instance_markers(segments),
            "occupancy_grid": lambda: messages.plane_message(project_obstacles(scene, *band), scene.grid, header),
            "uncertainty_grid": lambda: messages.plane_message(project_uncertainty(scene), scene.grid, header),
        })

    def unknown(self, model: Model, header: Header, config: NodeConfig) -> dict[str, Any]:
        """Messages that say that nothing is known, by output name."""
        grid, labels = model.grid, model.labels
        segments = messages.no_segments_message(labels, header, self._checkpoint)
        plane = messages.plane_message(np.full(grid.shape[:2], UNKNOWN, np.int8), grid, header)
        return self._made({
            "voxels": lambda: messages.unknown_voxel_grid_message(
                grid, labels, header, self._checkpoint, config.voxel_layers
            ),
            "occupied_points": lambda: messages.no_points_message(header),
            "segments": lambda: segments,
            "instances": lambda: messages.instance_markers(segments),
            "occupancy_grid": lambda: plane,
            "uncertainty_grid": lambda: plane,
        })

    def _made(self, makers: dict[str, Callable[[], Any]]) -> dict[str, Any]:
        return {name: make() for name, make in makers.items() if self._wanted(name)}
