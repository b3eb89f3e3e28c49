"""Settings: types, ranges, suggestions, and parameter files that speak to another node."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pasco_core.errors import ConfigError
from pasco_core.settings.node_config import NodeConfig
from pasco_core.settings.parameter_files import parameter_files, read_parameter_file
from pasco_core.settings.value_checks import check_config, check_value

NODE = "/panoptic_scene_completion"


def test_every_setting_has_a_description_and_a_default_that_keeps_its_own_rule():
    for name in NodeConfig.names():
        assert NodeConfig.setting(name).metadata["description"].endswith((".", "]"))
        check_value(name, NodeConfig.setting(name).default, NodeConfig)
    check_config(NodeConfig())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max_points", 0, "1 to 20000000, got 0"),
        ("max_points", 2.0, "an integer, got 2.0"),
        ("max_points", True, "an integer, got True"),
        ("max_age", 2, "write 2.0"),
        ("max_age", -0.1, "0.0 to 3600.0, got -0.1"),
        ("max_age", float("nan"), "got nan"),
        ("uncertainty_threshold", 1.5, "0.0 to 1.0, got 1.5"),
        ("empty_cloud", "ignore", "publish, skip, got 'ignore'"),
        ("checkpoint", 7, "a string, got 7"),
        ("voxel_layers", ["semantics", "instances"], "got 'instances'"),
        ("voxel_layers", ["semantics", "semantics"], "each once"),
        ("voxel_layers", [], "one or more"),
        ("publish_voxels", "yes", "true or false, got 'yes'"),
    ],
)
def test_row_23_a_wrong_value_is_named_with_its_rule(name, value, message):
    with pytest.raises(ConfigError) as caught:
        check_value(name, value, NodeConfig)
    assert f"'{name}'" in str(caught.value) and message in str(caught.value)


def test_row_23_an_empty_height_band_is_refused():
    with pytest.raises(ConfigError, match="obstacle_max_z"):
        check_config(NodeConfig(obstacle_min_z=1.0, obstacle_max_z=1.0))


def write(tmp_path, text):
    path = tmp_path / "node.yaml"
    path.write_text(text, encoding="utf-8")
    return path


GOOD = [
    "panoptic_scene_completion:\n  ros__parameters:\n    max_points: 5\n",
    "/panoptic_scene_completion:\n  ros__parameters:\n    use_sim_time: true\n",
    "/**:\n  ros__parameters:\n    max_age: 1.5\n    qos_overrides:\n      /tf:\n        publisher: {depth: 3}\n",
    "/*:\n  ros__parameters: {checkpoint: a}\n",
    "other:\n  ros__parameters: {speed: 1}\npanoptic_scene_completion:\n  ros__parameters: {max_points: 5}\n",
]


@pytest.mark.parametrize("text", GOOD)
def test_a_file_that_speaks_to_the_node_is_accepted(tmp_path, text):
    read_parameter_file(write(tmp_path, text), NODE)


def test_a_nested_namespace_is_the_nodes_own(tmp_path):
    path = write(tmp_path, "robot:\n  panoptic_scene_completion:\n    ros__parameters:\n      max_points: 5\n")
    read_parameter_file(path, "/robot/panoptic_scene_completion")
    with pytest.raises(ConfigError, match="robot/panoptic_scene_completion"):
        read_parameter_file(path, NODE)


BAD = {
    "panoptic_scene_completion:\n  ros__parameters:\n    max_pionts: 5\n": "did you mean 'max_points'",
    "/**:\n  ros__parameters:\n    zzzz: 5\n": "known are autostart",
    "/**:\n  ros__parameters:\n    max_points: five\n": "an integer, got 'five'",
    "/**:\n  ros__parameters:\n    nested:\n      max_points: 5\n": "'nested.max_points'",
    "scene_completion:\n  ros__parameters:\n    max_points: 5\n": "'panoptic_scene_completion' for this node",
    "/ns/panoptic_scene_completion:\n  ros__parameters: {max_points: 5}\n": "got ns/panoptic_scene_completion",
    "max_points: 5\n": "got none",
    "- a\n- b\n": "got list",
    "a: [1, 2\n": "to be YAML, got expected ',' or ']'",
    "/**:\n  ros_parameters: {max_points: 5}\n": "to have a section with 'ros__parameters', got none",
    "": "got nothing",
}


@pytest.mark.parametrize("text", BAD)
def test_row_23_a_file_for_another_node_or_with_an_unknown_name_is_refused_with_a_hint(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_parameter_file(path, NODE)
    assert BAD[text] in str(caught.value) and str(path) in str(caught.value)


def test_a_file_that_is_missing_binary_or_huge_is_refused_by_name(tmp_path):
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    huge = tmp_path / "huge.yaml"
    huge.write_text("#" * 1_000_001)
    for path in (tmp_path / "missing.yaml", binary, huge, tmp_path):
        with pytest.raises(ConfigError, match=path.name):
            read_parameter_file(path, NODE)


def test_the_files_of_a_command_line_are_found():
    line = ["node", "--ros-args", "--params-file", "a.yaml", "-p", "x:=1", "--params-file", "b.yaml"]
    assert [p.name for p in parameter_files(line)] == ["a.yaml", "b.yaml"]


def test_the_shipped_file_lists_every_parameter_with_its_default():
    path = Path(__file__).parents[2] / "config" / "panoptic_scene_completion.yaml"
    read_parameter_file(path, NODE)
    shipped = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]
    defaults = {n: NodeConfig.setting(n).default for n in NodeConfig.names()}
    assert {n: tuple(v) if isinstance(v, list) else v for n, v in shipped.items()} == defaults
