"""The launch file, RViz configuration and Fast DDS environment agree with the node."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pasco_core.errors import ConfigError
from pasco_ros.shared_files import fastdds_environment, shared_file

ROOT = Path(__file__).parents[2]
LAUNCH_FILE = ROOT / "launch" / "panoptic_scene_completion.launch.py"
NODE = "/panoptic_scene_completion"


def displays() -> list[dict]:
    return yaml.safe_load((ROOT / "config" / "pasco.rviz").read_text())["Visualization Manager"]["Displays"]


def output_of(topic: str):
    pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
    pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")
    from pasco_ros.outputs.output_messages import OUTPUTS

    return next(output for output in OUTPUTS if topic == f"{NODE}/{output.name}")


SHOWN = [d for d in displays() if "Topic" in d and d["Topic"]["Value"].startswith(NODE)]


@pytest.mark.parametrize("display", SHOWN, ids=[d["Name"] for d in SHOWN])
def test_rviz_subscribes_to_topics_of_the_node_with_the_type_and_qos_it_offers(display):
    from rclpy.qos import DurabilityPolicy

    output = output_of(display["Topic"]["Value"])
    message = {"PointCloud2": "PointCloud2", "MarkerArray": "MarkerArray", "Map": "OccupancyGrid"}
    assert output.type.__name__ == message[display["Class"].split("/")[1]]
    latched = output.qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
    assert display["Topic"]["Durability Policy"] == ("Transient Local" if latched else "Volatile")
    assert display["Topic"]["Reliability Policy"] == "Reliable"


def test_rviz_shows_voxels_as_coloured_boxes_of_the_grids_size():
    voxels = next(d for d in displays() if d["Name"] == "Occupied voxels")
    assert (voxels["Style"], voxels["Size (m)"], voxels["Color Transformer"]) == ("Boxes", 0.2, "RGB8")


def test_rviz_listens_to_the_clouds_as_a_sensor():
    cloud = next(d for d in displays() if d["Name"] == "Input cloud")
    assert cloud["Topic"]["Value"] == "/points" and cloud["Topic"]["Reliability Policy"] == "Best Effort"


def test_every_display_comes_with_rviz_itself():
    assert {d["Class"].split("/")[0] for d in displays()} == {"rviz_default_plugins"}


def entities(arguments: dict[str, str]):
    """What the launch file starts with these arguments, and the context it was evaluated in."""
    pytest.importorskip("launch_ros", reason="launch_ros is not installed: it comes with a ROS 2 installation")
    from launch.actions import DeclareLaunchArgument, OpaqueFunction
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    from launch import LaunchContext

    context = LaunchContext()
    context.launch_configurations.update(arguments)
    found = []
    for entity in PythonLaunchDescriptionSource(str(LAUNCH_FILE)).get_launch_description(context).entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.execute(context)
        elif isinstance(entity, OpaqueFunction):
            found += entity.execute(context)
    return found, context


def test_only_the_topic_and_the_checkpoint_are_needed():
    found, _ = entities({"topic": "/velodyne_points", "checkpoint": "pasco.safetensors"})
    assert [type(e).__name__ for e in found] == ["RegisterEventHandler", "LifecycleNode", "EmitEvent"]


def test_without_autostart_only_the_node_starts_and_with_rviz_rviz_too():
    assert [type(e).__name__ for e in entities({"autostart": "false"})[0]] == ["LifecycleNode"]
    assert [type(e).__name__ for e in entities({"autostart": "false", "rviz": "true"})[0]] == ["LifecycleNode", "Node"]


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
