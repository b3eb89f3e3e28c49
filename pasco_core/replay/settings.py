"""What decides a replay's predictions and messages: the node's parameters, by their names and with their defaults."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import yaml

from pasco_core.data.layer_codec import COMPRESSIONS
from pasco_core.data.scan_statistics import TRAINING_SENSORS
from pasco_core.data.voxel_message import LAYERS
from pasco_core.errors import ConfigError

_KITTI_POSE = (0.0, 0.0, 1.73, 0.0, 0.0, 0.0)
_CHOICES = {
    "empty_cloud": ("publish", "skip"),
    "output_frame": ("sensor", "base"),
    "voxel_compression": tuple(COMPRESSIONS),
    "training_sensor": ("none", *TRAINING_SENSORS),
}
_RANGES = {
    "max_points": (1, 20_000_000), "min_range": (0.0, 100.0), "future_tolerance": (0.0, 1e9),
    "uncertainty_threshold": (0.0, 1.0), "obstacle_min_z": (-100.0, 100.0), "obstacle_max_z": (-100.0, 100.0),
    "tf_timeout": (0.0, 2.0), "tf_cache_time": (0.1, 60.0), "max_age": (0.0, 3600.0), "num_threads": (1, 256),
    "degraded_range": (1.6, 1000.0), "intensity_maxima": (0.0, 1e9), "sensor_pose": (-1000.0, 1000.0),
    "network_pose": (-1000.0, 1000.0),
}
NODE_ONLY = (
    "autostart", "warm_up", "max_failures", "input_timeout", "skip_without_subscribers", "partner_topics",
    "partner_poses", "merge_tolerance", "merge_timeout", "deskew", "odom_frame", "point_time_unit", "camera_topics",
    "camera_transport", "camera_poses", "cameras_rectified", "camera_tolerance", "point_colours", "target_rate",
    "degradation", "degraded_range", "missed_deadlines", "deadline_window", "recovery_time", "recovery_headroom",
    "publish_voxels", "publish_occupied_points", "publish_instances", "publish_segments", "publish_occupancy_grid",
    "publish_uncertainty_grid", "publish_overlay", "dump_folder", "diagnostics_period",
)
"""Parameters of the node that a replay does not have."""

_OPTIONS = {"checkpoint": "--checkpoint", "features_checkpoint": "--features", "device": "--device",
            "num_threads": "--threads", "max_age": "--max-age"}
"""Parameters of the node that are options of the command."""


@dataclass(frozen=True)
class ReplaySettings:
    """Parameters of the node that a replay knows; what each means stands in docs/node.md.

    ``num_threads`` is one, not PyTorch's own choice: the last digits of a network's output depend on it. ``device`` is
    the CPU, where the same input gives the same bits.
    """

    checkpoint: str = ""
    features_checkpoint: str = ""
    device: str = "cpu"
    num_threads: int = 1
    degraded_range: float = 25.6
    max_points: int = 300_000
    min_range: float = 0.1
    empty_cloud: str = "publish"
    future_tolerance: float = 1.0
    intensity_maxima: tuple[float, ...] = (0.0,)
    training_sensor: str = "hdl-64e"
    base_frame: str = ""
    sensor_pose: tuple[float, ...] = _KITTI_POSE
    network_pose: tuple[float, ...] = _KITTI_POSE
    output_frame: str = "sensor"
    tf_timeout: float = 0.1
    tf_cache_time: float = 10.0
    voxel_layers: tuple[str, ...] = LAYERS
    voxel_compression: str = "none"
    uncertainty_threshold: float = 1.0
    obstacle_min_z: float = -2.0
    obstacle_max_z: float = 0.6
    point_colours: str = "class"
    max_age: float = 0.0

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"Expected {name} to be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            for number in value if isinstance(value, tuple) else (value,):
                if not low <= number <= high:  # NaN is not, either
                    raise ConfigError(f"Expected {name} to be {low:g} to {high:g}, got {number}")
        for name, length in (("sensor_pose", 6), ("network_pose", 6), ("intensity_maxima", 1)):
            if len(getattr(self, name)) != length:
                numbers = "6 numbers" if length == 6 else "one number, for the one LiDAR of a replay"
                raise ConfigError(f"Expected {name} to have {numbers}, got {len(getattr(self, name))}")
        layers = self.voxel_layers
        if not layers or len(set(layers)) < len(layers) or not set(layers) <= set(LAYERS):
            raise ConfigError(f"Expected voxel_layers to be of {', '.join(LAYERS)}, each once, got {list(layers)}")
        self._check_frames()
        if self.obstacle_min_z >= self.obstacle_max_z:
            got = f"{self.obstacle_max_z:g}"
            rule = f"above obstacle_min_z = {self.obstacle_min_z:g}"
            raise ConfigError(f"Expected obstacle_max_z to be {rule}, got {got}")

    def _check_frames(self) -> None:
        if self.output_frame == "base" and not self.base_frame:
            raise ConfigError("Expected base_frame to be a frame's name with output_frame = base, got ''")
        if self.base_frame and self.sensor_pose != _KITTI_POSE:
            why = f"because /tf tells where the sensor is with base_frame = {self.base_frame!r}"
            raise ConfigError(f"Expected sensor_pose to be left out, {why}, got {list(self.sensor_pose)}")


_SETTABLE = tuple(
    field.name for field in fields(ReplaySettings)
    if field.name not in (*_OPTIONS, *NODE_ONLY)
)


def settings_from(texts: Iterable[str], **values: Any) -> ReplaySettings:
    """Settings from ``name=value`` texts, values written as in YAML, and values that are known already.

    Raises:
        ConfigError: an unknown name or one that comes twice, or a value of another type or outside its range.

    >>> settings_from(["base_frame=base_link", "max_points=1000"]).max_points
    1000
    """
    given: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"Expected a parameter to be written name=value, got {text!r}")
        if name in given:
            raise ConfigError(f"Expected each parameter to be given once, got {name} again with {value!r}")
        given[name] = _typed(_known(name), value)
    return replace(ReplaySettings(), **{**values, **given})


def _known(name: str) -> str:
    if name in _OPTIONS:
        raise ConfigError(f"Expected the node's parameter {name} to be given with {_OPTIONS[name]}, got --param {name}")
    if name in NODE_ONLY:
        raise ConfigError(f"Expected a parameter of a replay, got {name!r}: the node has it, a replay does not")
    if name not in _SETTABLE:
        close = difflib.get_close_matches(name, _SETTABLE, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"Expected a parameter to be one of {', '.join(_SETTABLE)}, got {name!r}{hint}")
    return name


def _typed(name: str, text: str) -> Any:
    default = getattr(ReplaySettings(), name)
    try:
        value = yaml.safe_load(text) if not isinstance(default, str) else text
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: such as the 30th of February
        raise ConfigError(f"Expected {name} to be written as in YAML, got {text!r}") from error
    if isinstance(default, tuple):
        kind = type(default[0])
        items = value if isinstance(value, list) else []
        if items and all(_is(item, kind) for item in items):
            return tuple(_as(item, kind) for item in items)
        raise ConfigError(f"Expected {name} to be a list such as {list(default)}, got {text!r}")
    if not _is(value, type(default)):
        raise ConfigError(f"Expected {name} to be a value such as {default!r}, got {text!r}")
    return _as(value, type(default))


def _as(value: Any, kind: type) -> Any:
    """A value as the type that ``_is`` found it to be; whole numbers too large for it become infinite."""
    try:
        return kind(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _is(value: Any, kind: type) -> bool:
    """Whether a value of YAML is of a type; whole numbers are numbers too."""
    return isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool)
