"""What the node publishes."""

from __future__ import annotations

from dataclasses import dataclass

from pasco_core.data.layer_codec import COMPRESSIONS
from pasco_core.data.voxel_message import LAYERS
from pasco_core.errors import ConfigError
from pasco_core.settings.setting import NO_DIAGNOSTICS, SettingsGroup, setting


@dataclass(frozen=True)
class OutputSettings(SettingsGroup):
    """What the node publishes."""

    publish_voxels: bool = setting(True, "Publish ~/voxels.", fixed=True)
    publish_occupied_points: bool = setting(True, "Publish ~/occupied_points.", fixed=True)
    publish_instances: bool = setting(True, "Publish ~/instances.", fixed=True)
    publish_segments: bool = setting(True, "Publish ~/segments.", fixed=True)
    publish_occupancy_grid: bool = setting(True, "Publish ~/occupancy_grid.", fixed=True)
    publish_uncertainty_grid: bool = setting(True, "Publish ~/uncertainty_grid.", fixed=True)
    publish_overlay: bool = setting(
        True, "Publish ~/overlay, the scene drawn into the image of the first camera, where there is one.", fixed=True)
    voxel_layers: tuple[str, ...] = setting(LAYERS, "Layers of ~/voxels.", choices=LAYERS)
    voxel_compression: str = setting(
        "none", "How the layers of ~/voxels travel: none; zlib (a sixth to a hundredth of the bytes, some 5 ms a "
        "layer); or run_length (a half to a hundredth, 1 ms, and no library needed to read it).",
        choices=tuple(COMPRESSIONS))
    uncertainty_threshold: float = setting(
        1.0, "Voxels more uncertain than this are left out of ~/occupied_points; 1 keeps all. The other outputs do not "
        "depend on it.", low=0.0, high=1.0)
    obstacle_min_z: float = setting(
        -2.0, "Lower end of the height band of obstacles in ~/occupancy_grid, in the network's frame [m]: its origin "
        "is network_pose, by default 1.73 m above the ground.",
        low=-100.0, high=100.0)
    obstacle_max_z: float = setting(
        0.6, "Upper end of that band: what hangs higher is no obstacle [m].", low=-100.0, high=100.0)
    dump_folder: str = setting(
        "~/.ros/pasco", "Where the service ~/dump_frame writes the last computed frame, a folder for each.",
        node_only="a replay has no services")
    diagnostics_period: float = setting(
        1.0, "Time between two messages on /diagnostics [s].", low=0.1, high=60.0, fixed=True, node_only=NO_DIAGNOSTICS)

    def check(self) -> None:
        """An empty height band is refused with ConfigError."""
        if self.obstacle_min_z >= self.obstacle_max_z:
            raise ConfigError(
                f"Expected parameter 'obstacle_max_z' to be above obstacle_min_z = {self.obstacle_min_z:g} m, "
                f"got {self.obstacle_max_z:g} m"
            )
