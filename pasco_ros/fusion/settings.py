"""The parameters of the node scene_fusion."""

from __future__ import annotations

from dataclasses import dataclass

from pasco_core.data.layer_codec import COMPRESSIONS
from pasco_core.data.voxel_message import LAYERS
from pasco_core.fusion import FusionConfig
from pasco_core.settings.setting import SettingsGroup, setting

_DEFAULT = FusionConfig()


@dataclass(frozen=True)
class FusionSettings(SettingsGroup):
    """How scenes are fused."""

    fixed_frame: str = setting(
        "odom", "Frame that the fused scene lies in; /tf leads there from the frame of the voxels. It must not jump: "
        "odometry, not a map.", fixed=True)
    tf_timeout: float = setting(0.2, "How long the transform of a scene is waited for [s].", low=0.0, high=10.0)
    segments_timeout: float = setting(
        0.2, "How long the segments of a scene are waited for; without them nothing is tracked [s].",
        low=0.0, high=10.0)
    window_length: float = setting(
        76.8, "Edge of the square around the vehicle that is remembered [m].", low=3.2, high=200.0, fixed=True)
    window_height: float = setting(9.6, "Height of it [m].", low=1.6, high=50.0, fixed=True)
    trust: float = setting(
        _DEFAULT.trust, "Share of a scene's log odds that is believed where it sees something: scenes of one drive err "
        "alike.", low=0.01, high=1.0, fixed=True)
    trust_in_free: float = setting(
        _DEFAULT.trust_in_free, "The same where it sees nothing.", low=0.01, high=1.0, fixed=True)
    memory: float = setting(
        _DEFAULT.memory, "After this long, evidence has faded to 1/e [s].", low=0.1, high=3600.0, fixed=True)
    things_memory: float = setting(
        _DEFAULT.things_memory, "The same for voxels of things, which may move [s].", low=0.1, high=3600.0, fixed=True)
    forget_after: float = setting(
        _DEFAULT.forget_after, "A thing unseen for so long is given up [s].", low=0.1, high=60.0, fixed=True)


@dataclass(frozen=True)
class FusedOutputSettings(SettingsGroup):
    """What is published of the fused scene."""

    output_rate: float = setting(2.0, "Fused scenes per second at most [Hz].", low=0.1, high=100.0)
    voxel_layers: tuple[str, ...] = setting(LAYERS, "Layers of ~/voxels.", choices=LAYERS)
    voxel_compression: str = setting(
        "zlib", "How the layers of ~/voxels travel; seven million voxels without compression are 35 MB.",
        choices=tuple(COMPRESSIONS))
    uncertainty_threshold: float = setting(
        1.0, "Voxels more uncertain than this are left out of ~/occupied_points; 1 keeps all.", low=0.0, high=1.0)
    input_timeout: float = setting(
        5.0, "Without a scene for this long, diagnostics report an error [s].", low=0.1, high=3600.0)


@dataclass(frozen=True)
class SceneFusionSettings(FusedOutputSettings, FusionSettings):
    """Every parameter of the node."""

    def config(self, voxel_size: float) -> FusionConfig:
        """The core's settings, for voxels of a size in metres."""
        length, height = (max(8, round(extent / voxel_size)) for extent in (self.window_length, self.window_height))
        return FusionConfig(
            shape=(length, length, height), voxel_size=voxel_size, trust=self.trust, trust_in_free=self.trust_in_free,
            memory=self.memory, things_memory=self.things_memory, forget_after=self.forget_after,
        )
