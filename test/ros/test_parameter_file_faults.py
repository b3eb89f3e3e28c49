"""Parameter files that are broken or hostile: refused by name, quickly, before and after ROS has read them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pasco_core.errors import ConfigError
from pasco_core.settings.parameter_files import check_command_line, read_parameter_file
from pasco_core.settings.value_checks import plain_value

ROOT = Path(__file__).parents[2]
NODE = "/panoptic_scene_completion"
HEAD = "panoptic_scene_completion:\n  ros__parameters:\n"


def bomb(levels: int = 30) -> str:
    """A few hundred bytes that stand for 9^levels values."""
    lines = ["a0: &a0 [" + ", ".join(["x"] * 9) + "]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 9) + "]" for i in range(1, levels)]
    return "\n".join(lines) + f"\n{HEAD}    voxel_layers: *a{levels - 1}\n"


BROKEN = {
    "not_utf8": (HEAD + "    device: d\u00e9vice\n").encode("latin-1"),
    "huge": (HEAD + "    max_points: 5\n").encode() + b"#" * 1_000_001,
    "bomb": bomb().encode(),
    "merged": b"base: &b {ros__parameters: {max_points: 5}}\npanoptic_scene_completion:\n  <<: *b\n",
    "deep": HEAD.encode() + b"    max_points: " + b"[" * 5000 + b"]" * 5000,
    "twice": (HEAD + "    max_points: 5\n    max_points: 6\n").encode(),
    "object": (HEAD + "    max_points: !!python/object/apply:os.system ['true']\n").encode(),
}


@pytest.mark.parametrize("name", BROKEN)
def test_row_37_a_yaml_file_that_is_not_utf8_huge_or_hostile_is_refused_by_name(tmp_path, name):
    path = tmp_path / f"{name}.yaml"
    path.write_bytes(BROKEN[name])
    started = time.process_time()
    with pytest.raises(ConfigError, match=f"{name}.yaml") as caught:
        read_parameter_file(path, NODE)
    assert len(str(caught.value)) < 1000 and time.process_time() - started < 10


@pytest.mark.parametrize("name", ["bomb", "not_utf8"])
def test_row_37_the_node_refuses_to_start_with_such_a_file_and_does_not_hang(tmp_path, name):
    pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
    pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")
    path = tmp_path / f"{name}.yaml"
    path.write_bytes(BROKEN[name])
    done = subprocess.run(
        [sys.executable, "-m", "pasco_ros.panoptic_scene_completion", "--ros-args", "--params-file", str(path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )
    assert done.returncode == 2 and path.name in done.stderr and "Traceback" not in done.stderr, done.stderr[-2000:]


def test_lists_as_launch_writes_them_are_read(tmp_path):
    path = tmp_path / "launch_params"
    path.write_text("/**:\n  ros__parameters:\n    voxel_layers: !!python/tuple\n    - semantics\n    - instance\n")
    read_parameter_file(path, NODE)


def test_rclpy_takes_lists_as_launch_writes_them(tmp_path):
    rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
    path = tmp_path / "launch_params"
    path.write_text("/**:\n  ros__parameters:\n    names: !!python/tuple\n    - a\n    - b\n")
    context = rclpy.Context()
    rclpy.init(args=["--ros-args", "--params-file", str(path)], context=context)
    node = rclpy.create_node("reader", context=context, automatically_declare_parameters_from_overrides=True)
    assert list(node.get_parameter("names").value) == ["a", "b"]
    node.destroy_node()
    context.shutdown()


SEVERAL = """
/car/panoptic_scene_completion:
  ros__parameters: {max_points: 9}
/**:
  ros__parameters: {max_points: 6, min_range: 0.5, tf_timeout: 0.1}
/*:
  ros__parameters: {max_points: 7, max_age: 2.0}
panoptic_scene_completion:
  ros__parameters: {max_points: 5, voxel_layers: [semantics]}
/**/panoptic_scene_completion:
  ros__parameters: {tf_timeout: 0.3}
car:
  "*":
    ros__parameters: {max_age: 3.0}
"""


@pytest.mark.parametrize("namespace", ["/", "/car", "/car/front"])
def test_of_several_sections_the_node_gets_what_rclpy_gives_it(tmp_path, namespace):
    rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
    path = tmp_path / "several.yaml"
    path.write_text(SEVERAL, encoding="utf-8")
    context = rclpy.Context()
    rclpy.init(args=["--ros-args", "--params-file", str(path)], context=context)
    node = rclpy.create_node("panoptic_scene_completion", namespace=namespace, context=context)
    given = {name: plain_value(parameter.value) for name, parameter in node._parameter_overrides.items()}
    assert read_parameter_file(path, node.get_fully_qualified_name()) == given and len(given) >= 3
    node.destroy_node()
    context.shutdown()


@pytest.mark.parametrize(("words", "said"), [
    (["node", "--nosuch"], "ROS arguments after --ros-args, got '--nosuch'"),
    (["node", "-p", "autostart:=true"], "got '-p autostart:=true'"),
])
def test_words_that_ros_would_ignore_are_refused(words, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        check_command_line(words)
    check_command_line(["node", "--ros-args", "-p", "autostart:=true"])


def test_a_list_of_whole_numbers_and_others_is_refused_by_name_before_ros_reads_it(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("/**:\n  ros__parameters:\n    sensor_pose: [0, 0, 1.73, 0, 0, 0]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"'sensor_pose' in .*p\.yaml to have items of one type.*decimal points"):
        check_command_line(["node", "--ros-args", "--params-file", str(path)])


def test_a_file_without_a_section_of_parameters_is_refused_by_name(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text("/**:\n  ros_parameters:\n    max_points: 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"p\.yaml to have a section with 'ros__parameters', got none"):
        check_command_line(["node", "--ros-args", "--params-file", str(path)])
