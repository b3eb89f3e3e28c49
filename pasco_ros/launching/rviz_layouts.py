"""The RViz layouts of the launch files, made from one set of displays; ``make documents`` writes them to config/."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from pasco_core.settings.node_config import NODE_NAME

_NODE = f"/{NODE_NAME}"
_VOXEL, _LIDAR_HEIGHT = 0.2, 1.7  # metres

Display = dict[str, Any]


def layouts() -> dict[str, str]:
    """Name of each layout in config/ -> its text."""
    one = [cloud("Input cloud", "/points")]
    several = [cloud("Front cloud", "/front/points"), cloud("Rear cloud", "/rear/points")]
    driven = [transforms(), _picture("Camera", "/camera/image", _sensor(5)), odometry("Odometry", "/odometry")]
    return {
        "pasco.rviz": _layout([*one, *results(), transforms(enabled=False)], "velodyne"),
        "multi_lidar.rviz": _layout([*several, *results(), transforms()], "base_link"),
        "bag_replay.rviz": _layout([*one, *results(), transforms()], "velodyne"),
        "simulation.rviz": _layout([*one, *results(), *driven], "odom", target="base_link"),
    }


def results() -> list[Display]:
    """Displays of what the node publishes."""
    return [
        _cloud("Occupied voxels", f"{_NODE}/occupied_points", _reliable(2), _boxes("RGB8")),
        _cloud("Uncertainty of voxels", f"{_NODE}/occupied_points", _reliable(2), {
            **_boxes("Intensity"), "Channel Name": "uncertainty", "Use rainbow": True, "Invert Rainbow": True,
            "Autocompute Intensity Bounds": False, "Min Intensity": 0, "Max Intensity": 1,
        }, enabled=False),
        _display("MarkerArray", "Instances", {
            "Topic": {"Value": f"{_NODE}/instances", **_latched()}, "Namespaces": {},
        }),
        _picture("Overlay", f"{_NODE}/overlay", _reliable(2)),
        _map("Occupancy grid", f"{_NODE}/occupancy_grid", "map"),
        _map("Uncertainty grid", f"{_NODE}/uncertainty_grid", "costmap"),
    ]


def cloud(name: str, topic: str) -> Display:
    """A LiDAR's cloud, coloured by intensity."""
    return _cloud(name, topic, _sensor(5), {
        "Style": "Points", "Size (Pixels)": 2, "Size (m)": 0.01, "Color Transformer": "Intensity",
        "Channel Name": "intensity", "Use rainbow": True, "Invert Rainbow": False,
        "Autocompute Intensity Bounds": True, "Alpha": 0.6, "Selectable": False,
    })


def transforms(enabled: bool = True) -> Display:
    """The frames of /tf."""
    return _display("TF", "Frames", {
        "Frame Timeout": 15, "Marker Scale": 2, "Show Arrows": False, "Show Axes": True, "Show Names": True,
        "Update Interval": 0, "Frames": {"All Enabled": True},
    }, enabled)


def odometry(name: str, topic: str) -> Display:
    """The way that was driven."""
    return _display("Odometry", name, {
        "Topic": {"Value": topic, **_qos(50, "Reliable", "Volatile"), "Filter size": 10}, "Keep": 200,
        "Position Tolerance": 0.5, "Angle Tolerance": 0.1, "Covariance": {"Value": False},
        "Shape": {"Value": "Arrow", "Color": "255; 170; 0", "Alpha": 1, "Shaft Length": 0.5, "Shaft Radius": 0.05,
                  "Head Length": 0.2, "Head Radius": 0.1},
    })


def _cloud(name: str, topic: str, policies: dict[str, Any], look: dict[str, Any], enabled: bool = True) -> Display:
    common = {"Alpha": 1, "Decay Time": 0, "Position Transformer": "XYZ", "Selectable": True, "Use Fixed Frame": True}
    return _display("PointCloud2", name, {
        "Topic": {"Value": topic, **policies, "Filter size": 10}, **common, **look,
    }, enabled)


def _picture(name: str, topic: str, policies: dict[str, Any]) -> Display:
    return _display("Image", name, {
        "Topic": {"Value": topic, **policies}, "Min Value": 0, "Max Value": 1, "Median window": 5,
        "Normalize Range": True,
    })


def _boxes(transformer: str) -> dict[str, Any]:
    return {"Style": "Boxes", "Size (Pixels)": 3, "Size (m)": _VOXEL, "Color Transformer": transformer}


def _map(name: str, topic: str, scheme: str) -> Display:
    return _display("Map", name, {
        "Topic": {"Value": topic, **_latched(), "Filter size": 10},
        "Update Topic": {"Value": f"{topic}_updates", **_qos(5, "Reliable", "Volatile")},
        "Color Scheme": scheme, "Alpha": 0.7, "Draw Behind": True, "Use Timestamp": False,
    }, enabled=False)


def _display(kind: str, name: str, values: dict[str, Any], enabled: bool = True) -> Display:
    return {"Class": f"rviz_default_plugins/{kind}", "Name": name, "Enabled": enabled, "Value": enabled, **values}


def _qos(depth: int, reliability: str, durability: str) -> dict[str, Any]:
    return {"Depth": depth, "History Policy": "Keep Last", "Reliability Policy": reliability,
            "Durability Policy": durability}


def _sensor(depth: int) -> dict[str, Any]:
    return _qos(depth, "Best Effort", "Volatile")


def _reliable(depth: int) -> dict[str, Any]:
    return _qos(depth, "Reliable", "Volatile")


def _latched() -> dict[str, Any]:
    return _qos(1, "Reliable", "Transient Local")


def _layout(displays: Sequence[Display], frame: str, target: str = "<Fixed Frame>") -> str:
    ground = -_LIDAR_HEIGHT if frame == "velodyne" else 0.0
    tools = [{"Class": f"rviz_default_plugins/{name}"} for name in ("MoveCamera", "Select", "FocusCamera", "Measure")]
    view = {
        "Class": "rviz_default_plugins/Orbit", "Name": "Current View", "Distance": 45,
        "Focal Point": {"X": 14, "Y": 0, "Z": 0}, "Pitch": 0.6, "Yaw": 3.14159, "Near Clip Distance": 0.01,
        "Target Frame": target, "Value": "Orbit (rviz)",
    }
    values = {
        "Panels": [
            {"Class": "rviz_common/Displays", "Name": "Displays", "Help Height": 0, "Splitter Ratio": 0.5,
             "Tree Height": 600},
            {"Class": "rviz_common/Views", "Name": "Views", "Splitter Ratio": 0.5},
            {"Class": "rviz_common/Time", "Name": "Time", "Experimental": False, "SyncMode": 0,
             "SyncSource": "Occupied voxels"},
        ],
        "Visualization Manager": {
            "Class": "", "Displays": [_ground(ground), *displays], "Enabled": True,
            "Global Options": {"Background Color": "32; 34; 40", "Fixed Frame": frame, "Frame Rate": 30},
            "Name": "root", "Tools": tools, "Transformation": {"Current": {"Class": "rviz_default_plugins/TF"}},
            "Value": True, "Views": {"Current": view, "Saved": None},
        },
        "Window Geometry": {"Displays": {"collapsed": False}, "Views": {"collapsed": True}, "Height": 900,
                            "Width": 1500},
    }
    return yaml.safe_dump(values, sort_keys=False, width=120)


def _ground(z: float) -> Display:
    return _display("Grid", "Ground grid", {
        "Cell Size": 10, "Plane": "XY", "Plane Cell Count": 12, "Reference Frame": "<Fixed Frame>",
        "Color": "160; 160; 164", "Alpha": 0.3, "Normal Cell Count": 0,
        "Line Style": {"Line Width": 0.03, "Value": "Lines"}, "Offset": {"X": 0, "Y": 0, "Z": z},
    })
