"""The node's settings: names, defaults, ranges and descriptions, in one typed place that needs no ROS."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields
from typing import Any

from pasco_core.errors import ConfigError

LAYERS = ("semantics", "instance", "occupancy_probability", "uncertainty")
EMPTY_POLICIES = ("publish", "skip")


def _setting(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    fixed: bool = False,
) -> Any:
    """A field of ``NodeConfig``; ``fixed`` ones can be changed only before the node is configured."""
    details = {"description": description, "low": low, "high": high, "choices": choices, "fixed": fixed}
    return field(default=default, metadata=details)


@dataclass(frozen=True)
class NodeConfig:
    """Every parameter of the node; the name of a field is the name of the parameter."""

    checkpoint: str = _setting(
        "", "Weights, a .safetensors file made by `pasco convert` or training. Empty: the small network that "
        "comes with the package, trained on simulated scans alone.", fixed=True)
    features_checkpoint: str = _setting(
        "", "Weights of the point features, for a checkpoint that reads them (SemanticKITTI's); a .safetensors file.",
        fixed=True)
    device: str = _setting(
        "auto", "Where the network runs: cpu, cuda, cuda:N, or auto (CUDA where there is one, else the CPU). A named "
        "device that is not there lets configure fail.", fixed=True)
    num_threads: int = _setting(
        0, "CPU threads of the computation; 0 leaves PyTorch's own choice.", low=0, high=256, fixed=True)
    warm_up: bool = _setting(
        True, "Compute one synthetic scan while configuring, so that the first real one is not slow.", fixed=True)
    max_points: int = _setting(
        300_000, "Capacity in points; of a larger cloud an evenly spread subset is used.", low=1, high=20_000_000)
    min_range: float = _setting(
        0.1, "Points nearer than this are left out [m]; drivers write missing returns as 0, 0, 0.", low=0.0, high=100.0)
    empty_cloud: str = _setting(
        "publish", "What a cloud without a finite point, or without one in the grid, leads to: publish (an all-unknown "
        "grid) or skip.",
        choices=EMPTY_POLICIES)
    max_age: float = _setting(
        0.0, "A cloud whose stamp is older than this by the node's clock, before or after its computation, is dropped "
        "[s]; 0 sets no limit. A recording played without use_sim_time is as old as it is.", low=0.0, high=3600.0)
    future_tolerance: float = _setting(
        1.0, "A cloud whose stamp lies further ahead of the node's clock is rejected [s]; 0 accepts any.",
        low=0.0, high=1e9)
    input_timeout: float = _setting(
        5.0, "Without a cloud for this long, diagnostics report an error [s].", low=0.1, high=3600.0)
    skip_without_subscribers: bool = _setting(
        True, "Compute nothing while no output has a subscriber.")
    max_failures: int = _setting(
        3, "After this many failed computations in a row the node pauses, up to 30 s, before the next attempt.",
        low=1, high=1000, fixed=True)
    publish_voxels: bool = _setting(True, "Publish ~/voxels.", fixed=True)
    publish_occupied_points: bool = _setting(True, "Publish ~/occupied_points.", fixed=True)
    publish_instances: bool = _setting(True, "Publish ~/instances.", fixed=True)
    publish_segments: bool = _setting(True, "Publish ~/segments.", fixed=True)
    publish_occupancy_grid: bool = _setting(True, "Publish ~/occupancy_grid.", fixed=True)
    publish_uncertainty_grid: bool = _setting(True, "Publish ~/uncertainty_grid.", fixed=True)
    voxel_layers: tuple[str, ...] = _setting(LAYERS, "Layers of ~/voxels.", choices=LAYERS)
    uncertainty_threshold: float = _setting(
        1.0, "Voxels more uncertain than this are left out of ~/occupied_points; 1 keeps all. The other outputs do not "
        "depend on it.", low=0.0, high=1.0)
    obstacle_min_z: float = _setting(
        -2.0, "Lower end of the height band of obstacles in ~/occupancy_grid, in the cloud's frame [m].",
        low=-100.0, high=100.0)
    obstacle_max_z: float = _setting(
        0.6, "Upper end of that band: what hangs higher is no obstacle [m].", low=-100.0, high=100.0)
    diagnostics_period: float = _setting(
        1.0, "Time between two messages on /diagnostics [s].", low=0.1, high=60.0, fixed=True)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of all parameters, in order."""
        return tuple(f.name for f in fields(cls))

    @classmethod
    def setting(cls, name: str) -> Field:
        """The field behind a parameter; its ``metadata`` has description, low, high, choices and fixed.

        Raises:
            ConfigError: there is no such parameter.
        """
        for candidate in fields(cls):
            if candidate.name == name:
                return candidate
        raise ConfigError(unknown_name_message(name, "parameters of the node", cls.names()))


def check_value(name: str, value: Any) -> None:
    """Check one parameter's value against its type, range and choices.

    Raises:
        ConfigError: names the parameter, the rule and the value.
    """
    setting = NodeConfig.setting(name)
    details = setting.metadata
    example: Any = setting.default
    value = tuple(value) if isinstance(value, list) else value
    if type(value) is not type(example):
        rule = _type_name(example)
        raise ConfigError(f"Expected parameter '{name}' to be {rule}, got {value!r}{_hint(example, value)}")
    for item in value if isinstance(value, tuple) else [value]:
        if details["choices"] and item not in details["choices"]:
            raise ConfigError(f"Expected parameter '{name}' to be of {', '.join(details['choices'])}, got {item!r}")
    if isinstance(value, tuple) and len(set(value)) < max(len(value), 1):
        raise ConfigError(f"Expected parameter '{name}' to list one or more names, each once, got {list(value)}")
    low, high = details["low"], details["high"]
    if low is not None and (not low <= value <= high or math.isnan(value)):
        raise ConfigError(f"Expected parameter '{name}' to be {low} to {high}, got {value}")


def check_config(config: NodeConfig) -> None:
    """Check what one value alone cannot show.

    Raises:
        ConfigError: the height band is empty.
    """
    if config.obstacle_min_z >= config.obstacle_max_z:
        raise ConfigError(
            f"Expected parameter 'obstacle_max_z' to be above obstacle_min_z = {config.obstacle_min_z:g} m, "
            f"got {config.obstacle_max_z:g} m"
        )


def unknown_name_message(name: str, what: str, known: Iterable[str]) -> str:
    """"Expected ... got" for an unknown name, with the nearest known one as a hint."""
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f": did you mean '{nearest[0]}'?" if nearest else f"; known are {', '.join(known)}"
    return f"Expected the {what} to be known ones, got '{name}'{hint}"


def _type_name(example: Any) -> str:
    names = {bool: "true or false", int: "an integer", float: "a number with a decimal point", str: "a string"}
    return names.get(type(example), "a list of strings")


def _hint(example: Any, value: Any) -> str:
    return f": write {float(value)}" if type(example) is float and type(value) is int else ""
