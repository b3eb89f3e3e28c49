"""The launch files, RViz layouts and Fast DDS environment agree with the node and the simulated town."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

from pasco_core.errors import ConfigError
from pasco_core.settings.node_config import NODE_NAME, NodeConfig
from pasco_core.settings.parameter_files import read_parameter_file
from pasco_core.settings.value_checks import check_config, check_value
from pasco_ros.launching.arguments import COMMON, ONE_LIDAR, SEVERAL_LIDARS
from pasco_ros.launching.plan import SHOWN, Plan, make_plan
from pasco_ros.launching.rviz_layouts import layouts
from pasco_ros.shared_files import fastdds_environment, shared_file
from pasco_ros.simulation.settings import SimulationSettings

ROOT = Path(__file__).parents[2]
NODE = f"/{NODE_NAME}"
LAUNCH_FILES = {
    "panoptic_scene_completion.launch.py": {**ONE_LIDAR, **COMMON},
    "multi_lidar.launch.py": {**SEVERAL_LIDARS, **COMMON},
}
MESSAGES = {"PointCloud2": "PointCloud2", "MarkerArray": "MarkerArray", "Map": "OccupancyGrid", "Image": "Image"}


def displays(layout: str) -> list[dict]:
    return yaml.safe_load((ROOT / "config" / layout).read_text())["Visualization Manager"]["Displays"]


def topic_of(display: dict) -> str:
    return display.get("Topic", {}).get("Value", "")


OF_THE_NODE = [(name, display) for name in layouts() for display in displays(name) if NODE in topic_of(display)]


def output_of(topic: str):
    pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
    pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")
    from pasco_core.messages.outputs import CAMERA_OUTPUTS, OUTPUTS

    return next(output for output in (*OUTPUTS, *CAMERA_OUTPUTS) if topic == f"{NODE}/{output.name}")


@pytest.mark.parametrize(("layout", "display"), OF_THE_NODE, ids=[f"{n}-{d['Name']}" for n, d in OF_THE_NODE])
def test_rviz_subscribes_to_topics_of_the_node_with_the_type_and_qos_it_offers(layout, display):
    output = output_of(display["Topic"]["Value"])
    from rclpy.qos import DurabilityPolicy

    from pasco_ros.qos import of_output

    assert output.type == MESSAGES[display["Class"].split("/")[1]]
    latched = of_output(output).durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert display["Topic"]["Durability Policy"] == ("Transient Local" if latched else "Volatile")
    assert display["Topic"]["Reliability Policy"] == "Reliable"


@pytest.mark.parametrize("layout", layouts())
def test_each_layout_shows_voxels_as_coloured_boxes_instances_uncertainty_the_overlay_and_frames(layout):
    shown = {display["Name"]: display for display in displays(layout)}
    for name, colour in (("Occupied voxels", "RGB8"), ("Uncertainty of voxels", "Intensity")):
        look = [shown[name][key] for key in ("Style", "Size (m)", "Color Transformer")]
        assert look == ["Boxes", 0.2, colour]
    assert {"Instances", "Overlay", "Frames"} <= set(shown) and len(shown) == len(displays(layout))
    assert {d["Class"].split("/")[0] for d in shown.values()} == {"rviz_default_plugins"}
    topics = {topic_of(d) for d in shown.values()}
    assert {f"{NODE}/{name}" for name in SHOWN} <= topics


@pytest.mark.parametrize("layout", layouts())
def test_each_layout_listens_to_clouds_as_a_sensor_and_has_a_fixed_frame(layout):
    clouds = [d for d in displays(layout) if d["Name"].endswith("cloud")]
    assert clouds and all(d["Topic"]["Reliability Policy"] == "Best Effort" for d in clouds)
    text = yaml.safe_load((ROOT / "config" / layout).read_text())
    assert text["Visualization Manager"]["Global Options"]["Fixed Frame"] in ("velodyne", "base_link", "odom")


def plan_of(file: str, **given: str) -> Plan:
    """What a launch file starts with these arguments."""
    return make_plan({**{name: argument.default for name, argument in LAUNCH_FILES[file].items()}, **given})


ONE, SEVERAL = LAUNCH_FILES
POSES = "[1.0, 0.0, 1.73, 0.0, 0.0, 0.0, -1.0, 0, 1.5, 0, 0, 3.14]"
GIVEN = {
    "defaults": (ONE, {}), "checkpoint": (ONE, {"checkpoint": "a.safetensors", "device": "cpu"}),
    "vehicle": (ONE, {"base_frame": "base_footprint", "camera_topics": "[/front/image_raw]"}),
    "simulation": (ONE, {"sim": "true", "rviz": "true"}), "several": (SEVERAL, {"poses": POSES}),
    "several on a vehicle": (SEVERAL, {"base_frame": "base_footprint"}),
    "several simulated": (SEVERAL, {"sim": "true", "rviz": "true", "topics": "[/a, /b, /c]"}),
    "several simulated at places": (SEVERAL, {"sim": "true", "poses": POSES}),
    "recording": (ONE, {"bag": str(ROOT), "rviz": "true", "loop": "true", "rate": "0.5"}),
}


@pytest.mark.parametrize("name", GIVEN)
def test_what_is_started_has_parameters_that_the_node_and_the_town_accept(name):
    file, given = GIVEN[name]
    plan = plan_of(file, **given)
    for kind, node, path, values in (
        (NodeConfig, NODE, plan.params_file, plan.parameters),
        (SimulationSettings, "/simulated_town", plan.sim_params_file, plan.simulation or {}),
    ):
        read_parameter_file(path, node, kind)
        for parameter, value in values.items():
            check_value(parameter, value, kind)
        check_config(kind(**{p: tuple(v) if isinstance(v, list) else v for p, v in values.items()}))
    assert plan.topics[0] == plan_of(file, **given).topics[0] and plan.parameters["autostart"] is True


def test_a_recording_and_the_town_bring_their_clock_and_a_sensor_does_not():
    assert not plan_of(ONE).use_sim_time
    assert plan_of(ONE, sim="true").use_sim_time and plan_of(ONE, bag=str(ROOT)).use_sim_time
    assert not plan_of(ONE, bag=str(ROOT), use_sim_time="false").use_sim_time
    assert plan_of(ONE, use_sim_time="true").use_sim_time


def test_a_recording_is_played_with_its_clock_at_its_rate_and_in_a_loop_on_request():
    played = plan_of(ONE, bag=str(ROOT), rate="0.5", loop="true").bag
    assert played == ("ros2", "bag", "play", str(ROOT), "--clock", "100", "--rate", "0.5", "--loop")
    assert plan_of(ONE, bag=str(ROOT)).bag == ("ros2", "bag", "play", str(ROOT), "--clock", "100", "--rate", "1")


def test_several_lidars_are_the_nodes_partners_and_sit_where_the_poses_say():
    plan = plan_of(SEVERAL, poses=POSES, sim="true", topics="[/a, /b]")
    assert plan.topics == ("/a", "/b") and plan.parameters["partner_topics"] == ["/b"]
    assert plan.simulation["lidar_topics"] == ["/a", "/b"] and len(plan.simulation["lidar_mounts"]) == 12
    still = plan_of(SEVERAL, poses=POSES)
    assert still.parameters["sensor_pose"] == [1.0, 0.0, 1.73, 0.0, 0.0, 0.0]
    assert still.parameters["partner_poses"] == [-1.0, 0.0, 1.5, 0.0, 0.0, 3.14]


@pytest.mark.parametrize(("file", "given", "layout", "frame"), [
    (ONE, {}, "pasco.rviz", "velodyne"), (ONE, {"base_frame": "base"}, "pasco.rviz", "base"),
    (ONE, {"bag": str(ROOT), "frame": "map"}, "bag_replay.rviz", "map"),
    (ONE, {"sim": "true"}, "simulation.rviz", "odom"),
    (SEVERAL, {"sim": "true"}, "multi_lidar.rviz", "odom"),
    (SEVERAL, {"bag": str(ROOT), "base_frame": "base"}, "multi_lidar.rviz", "base"),
])
def test_each_way_of_starting_has_its_layout_and_frame(file, given, layout, frame):
    plan = plan_of(file, rviz="true", **given)
    assert plan.layout == ROOT / "config" / layout and plan.frame == frame
    assert plan_of(file, **given).layout is None


def test_the_topics_of_a_layout_are_those_of_the_nodes_namespace_and_its_clouds():
    plan = plan_of(ONE, namespace="/car/", topic="/velodyne_points", rviz="true")
    assert set(plan.shown) == {topic_of(d) for d in displays("pasco.rviz")} - {""}
    assert plan.shown["/points"] == "/velodyne_points"
    assert plan.shown[f"{NODE}/instances"] == f"/car{NODE}/instances"
    several = plan_of(SEVERAL, base_frame="base", topics="[/a, /b]")
    assert set(several.shown) == {topic_of(d) for d in displays("multi_lidar.rviz")} - {""}
    assert (several.shown["/front/points"], several.shown["/rear/points"]) == ("/a", "/b")


REFUSED = {
    "a recording that is not there": (ONE, {"bag": "/nowhere"}, "bag to be a recording, got /nowhere"),
    "a recording and the town": (ONE, {"bag": "/tmp", "sim": "true"}, "either sim:=true or a bag"),
    "a rate in words": (ONE, {"bag": "/tmp", "rate": "fast"}, "rate to be a number above 0, got 'fast'"),
    "a delay below zero": (ONE, {"respawn_delay": "-1"}, "respawn_delay to be a number above 0"),
    "a file that is not there": (ONE, {"params_file": "/none.yaml"}, "params_file to be a file, got /none.yaml"),
    "one topic of several": (SEVERAL, {"topics": "[/a]", "base_frame": "b"}, "topics to be two or more names"),
    "topics without brackets": (SEVERAL, {"topics": "/a"}, "topics to be a list in brackets, got '/a'"),
    "too few numbers": (SEVERAL, {"poses": "[1, 2]"}, "poses to be 6 numbers for each of 2 LiDARs"),
    "no places": (SEVERAL, {}, "either base_frame or poses"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_arguments_that_cannot_be_are_refused_before_anything_starts(name):
    file, given, complaint = REFUSED[name]
    with pytest.raises(ConfigError, match=complaint.replace("[", r"\[")):
        plan_of(file, **given)


@pytest.mark.parametrize("file", LAUNCH_FILES)
def test_a_launch_file_has_the_arguments_of_its_tables_and_an_example_that_uses_only_those(file):
    text = (ROOT / "launch" / file).read_text()
    tables = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name) and node.id.isupper()}
    arguments = {name for table in tables for name in {**globals()}[table]}
    assert arguments == set(LAUNCH_FILES[file])
    examples = [line for line in text.splitlines() if line.startswith("ros2 launch")]
    used = {word.split(":=")[0] for line in examples for word in line.split() if ":=" in word}
    assert len(examples) >= 2 and used <= arguments and all(f"pasco {file}" in line for line in examples)


def test_every_launch_file_is_checked_here():
    assert {path.name for path in (ROOT / "launch").glob("*.py")} == set(LAUNCH_FILES)


@pytest.mark.parametrize("executable", [NODE_NAME, "simulated_town"])
def test_the_executables_that_launch_files_start_are_installed(executable):
    text = (ROOT / "cmake" / "pasco_ros_entry_points.cfg").read_text()
    entry = next(line for line in text.splitlines() if line.strip().startswith(f"{executable} ="))
    module, function = entry.split("=")[1].strip().split(":")
    source = (ROOT / Path(*module.split("."))).with_suffix(".py").read_text()
    assert function in {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}


def entities(file: str, arguments: dict[str, str]) -> list[str]:
    """Types of what a launch file starts with these arguments."""
    pytest.importorskip("launch_ros", reason="launch_ros is not installed: it comes with a ROS 2 installation")
    from launch.actions import DeclareLaunchArgument, OpaqueFunction
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    from launch import LaunchContext

    context = LaunchContext()
    context.launch_configurations.update(arguments)
    found = []
    source = PythonLaunchDescriptionSource(str(ROOT / "launch" / file))
    for entity in source.get_launch_description(context).entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.execute(context)
        elif isinstance(entity, OpaqueFunction):
            found += entity.execute(context)
    return [type(entity).__name__ for entity in found]


@pytest.mark.parametrize(("file", "given", "expected"), [
    (ONE, {}, ["LifecycleNode"]), (ONE, {"rviz": "true"}, ["LifecycleNode", "Node"]),
    (ONE, {"sim": "true", "rviz": "true"}, ["LifecycleNode", "Node", "Node"]),
    (ONE, {"bag": str(ROOT)}, ["RegisterEventHandler", "LifecycleNode"]),
    (SEVERAL, {"base_frame": "base"}, ["LifecycleNode"]), (SEVERAL, {"sim": "true"}, ["LifecycleNode", "Node"]),
])
def test_launch_itself_evaluates_the_files(file, given, expected):
    assert entities(file, given) == expected


def test_the_files_of_the_package_are_found_and_a_missing_one_is_named():
    assert shared_file("config/fastdds_profile.xml") == ROOT / "config" / "fastdds_profile.xml"
    with pytest.raises(ConfigError, match=r"config/nothing\.yaml"):
        shared_file("config/nothing.yaml")


@pytest.mark.parametrize(("distribution", "name"), [
    ("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"), ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE"),
    ("lyrical", "FASTDDS_DEFAULT_PROFILES_FILE"),
])
def test_the_profile_is_set_under_the_name_the_distribution_reads(distribution, name):
    assert fastdds_environment(Path("p.xml"), {"ROS_DISTRO": distribution}) == {name: "p.xml"}


def test_a_profile_of_the_users_own_is_kept():
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        assert fastdds_environment(Path("p.xml"), {"ROS_DISTRO": "kilted", name: "own.xml"}) == {}
