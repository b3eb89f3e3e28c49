"""From a launch file's arguments to what is to be started with which parameters and topics; knows no ROS."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pasco_core.errors import ConfigError
from pasco_core.settings.frame_settings import FrameSettings
from pasco_core.settings.node_config import NODE_NAME
from pasco_ros.shared_files import shared_file

SHOWN = ("occupied_points", "instances", "occupancy_grid", "uncertainty_grid", "overlay")
"""Outputs of the node in the RViz layouts."""
_POSE = 6  # numbers
_CLOCK_RATE = 100  # messages on /clock per second of a recording
_SIMULATED_TOLERANCE = 0.25  # seconds: the simulated camera is slower than the LiDAR
_SIMULATED_BASE, _SIMULATED_CAMERA = "base_link", "/camera/image"
_LIDAR_FRAME = "velodyne"


@dataclass(frozen=True)
class Plan:
    """What a launch file starts.

    Args:
        parameters: of the node, over those of its file.
        params_file: the node's parameter file.
        topics: of the LiDARs, the node's ``points`` first.
        use_sim_time: whether everything takes its time from /clock.
        respawn_delay: seconds after which a node that died is started again, None: it is not.
        bag: command that plays the recording, empty where there is none.
        simulation: parameters of the simulated town over those of its file, or None.
        sim_params_file: its parameter file.
        layout: RViz layout, or None.
        frame: fixed frame of RViz.
        shown: RViz's topic -> the topic it stands for.
    """

    parameters: dict[str, Any]
    params_file: Path
    topics: tuple[str, ...]
    use_sim_time: bool
    respawn_delay: float | None
    bag: tuple[str, ...]
    simulation: dict[str, Any] | None
    sim_params_file: Path
    layout: Path | None
    frame: str
    shown: dict[str, str]


def make_plan(values: Mapping[str, str]) -> Plan:
    """What follows from the arguments' values.

    Raises:
        ConfigError: an argument breaks its rule, or two contradict each other.
    """
    simulated, bag = values["sim"] == "true", values["bag"]
    if simulated and bag:
        raise ConfigError(f"Expected either sim:=true or a bag, got both, with bag:={bag}")
    topics = _topics(values)
    poses = _poses(values, len(topics))
    base_frame = values["base_frame"] or (_SIMULATED_BASE if simulated else "")
    use_sim_time = values["use_sim_time"] == "true" or (values["use_sim_time"] == "auto" and (simulated or bool(bag)))
    return Plan(
        parameters=_parameters(values, topics, poses, base_frame),
        params_file=_file(values["params_file"], "params_file", f"config/{NODE_NAME}.yaml"),
        topics=topics,
        use_sim_time=use_sim_time,
        respawn_delay=_positive(values["respawn_delay"], "respawn_delay") if values["respawn"] == "true" else None,
        bag=_play(values) if bag else (),
        simulation=_simulation(topics, poses) if simulated else None,
        sim_params_file=_file(values["sim_params_file"], "sim_params_file", "config/simulated_town.yaml"),
        layout=_layout(topics, bool(bag), simulated) if values["rviz"] == "true" else None,
        frame=values["frame"] or ("odom" if simulated else base_frame or _LIDAR_FRAME),
        shown=_shown(values["namespace"], topics),
    )


def _topics(values: Mapping[str, str]) -> tuple[str, ...]:
    if "topic" in values:
        return (values["topic"],)
    topics = _list(values["topics"], "topics")
    if len(topics) < 2 or not all(isinstance(topic, str) and topic for topic in topics):
        raise ConfigError(f"Expected topics to be two or more names, as in [/front/points, /rear/points], got {topics}")
    return tuple(topics)


def _poses(values: Mapping[str, str], n: int) -> list[list[float]]:
    """One pose per LiDAR, or none."""
    numbers = _list(values.get("poses") or "[]", "poses")
    if len(numbers) not in (0, _POSE * n) or not all(_is_number(number) for number in numbers):
        raise ConfigError(f"Expected poses to be {_POSE} numbers for each of {n} LiDARs, got {numbers}")
    return [[float(x) for x in numbers[i:i + _POSE]] for i in range(0, len(numbers), _POSE)]


def _parameters(
    values: Mapping[str, str], topics: tuple[str, ...], poses: list[list[float]], base_frame: str
) -> dict[str, Any]:
    """The node's parameters that the arguments decide."""
    given: dict[str, Any] = {
        name: values[name] for name in ("checkpoint", "features_checkpoint", "device") if values[name]
    }
    cameras = _list(values["camera_topics"], "camera_topics") or [_SIMULATED_CAMERA] * (values["sim"] == "true")
    if cameras:
        given["camera_topics"] = cameras
    if values["sim"] == "true":
        given["camera_tolerance"] = _SIMULATED_TOLERANCE
    if len(topics) > 1:
        given["partner_topics"] = list(topics[1:])
    if base_frame:
        given["base_frame"] = base_frame
    elif poses:
        given |= {"sensor_pose": poses[0], "partner_poses": list(itertools.chain(*poses[1:]))}
    elif len(topics) > 1:
        raise ConfigError("Expected either base_frame or poses to tell where the LiDARs are mounted, got neither")
    return {**given, "autostart": values["autostart"] == "true"}


def _simulation(topics: tuple[str, ...], poses: list[list[float]]) -> dict[str, Any]:
    """Parameters of the simulated town, whose LiDARs sit on the roof, one behind the other, where no pose is given."""
    if len(topics) == 1:
        return {"lidar_topics": list(topics)}
    height = FrameSettings().network_pose[2]
    mounts = poses or [[1.0 - 2.0 * i / (len(topics) - 1), 0.0, height, 0.0, 0.0, 0.0] for i in range(len(topics))]
    frames = [f"{_LIDAR_FRAME}_{i}" for i in range(len(topics))]
    return {"lidar_topics": list(topics), "lidar_frames": frames, "lidar_mounts": list(itertools.chain(*mounts))}


def _play(values: Mapping[str, str]) -> tuple[str, ...]:
    path = Path(values["bag"]).expanduser()
    if not path.exists():
        raise ConfigError(f"Expected bag to be a recording, got {path} with nothing there")
    rate = _positive(values["rate"], "rate")
    command = ("ros2", "bag", "play", str(path), "--clock", str(_CLOCK_RATE), "--rate", f"{rate:g}")
    return (*command, "--loop") if values["loop"] == "true" else command


def _layout(topics: tuple[str, ...], bag: bool, simulated: bool) -> Path:
    name = "simulation" if simulated else "bag_replay" if bag else "pasco"
    return shared_file(f"config/{'multi_lidar' if len(topics) > 1 else name}.rviz")


def _shown(namespace: str, topics: tuple[str, ...]) -> dict[str, str]:
    node = "/" + "/".join(part for part in (namespace.strip("/"), NODE_NAME) if part)
    inputs = ("/points",) if len(topics) == 1 else ("/front/points", "/rear/points")
    return {**dict(zip(inputs, topics)), **{f"/{NODE_NAME}/{name}": f"{node}/{name}" for name in SHOWN}}


def _file(value: str, name: str, default: str) -> Path:
    if not value:
        return shared_file(default)
    path = Path(value).expanduser()
    if not path.is_file():
        raise ConfigError(f"Expected {name} to be a file, got {path} with none there")
    return path


def _list(text: str, name: str) -> list[Any]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = None
    if not isinstance(value, list):
        raise ConfigError(f"Expected {name} to be a list in brackets, got {text!r}")
    return value


def _positive(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise ConfigError(f"Expected {name} to be a number above 0, got {text!r}")
    return number


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
