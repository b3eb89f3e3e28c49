"""Settings of a replay: the node's table, told by the node's sentences, less what only the node has."""

from __future__ import annotations

from pathlib import Path

import pytest

from pasco_core.errors import ConfigError
from pasco_core.replay import ReplaySettings, settings_from, settings_in_file
from pasco_core.settings.node_config import NodeConfig
from pasco_core.settings.value_checks import check_value


def test_a_replay_differs_from_the_node_in_device_and_threads_alone():
    node, replay = vars(NodeConfig()), vars(ReplaySettings())
    assert {name for name in node if node[name] != replay[name]} == {"device", "num_threads"}
    assert list(node) == list(replay) and (replay["device"], replay["num_threads"]) == ("cpu", 1)


@pytest.mark.parametrize(("text", "name", "value"), [
    ("max_points=10", "max_points", 10),
    ("min_range=1", "min_range", 1.0),
    ("min_range=1e-2", "min_range", 0.01),
    ("voxel_layers=[semantics]", "voxel_layers", ("semantics",)),
    ("sensor_pose=[0, 0, 2, 0, 0.05, 0]", "sensor_pose", (0.0, 0.0, 2.0, 0.0, 0.05, 0.0)),
    ("base_frame=7", "base_frame", "7"),
    ("base_frame=a=b", "base_frame", "a=b"),
    ("deskew=odometry", "deskew", "odometry"),
    ("cameras_rectified=true", "cameras_rectified", True),
])
def test_a_value_is_read_as_yaml_and_as_its_parameters_type(text, name, value):
    read = getattr(settings_from([text]), name)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(("text", "message"), [
    ("basefame=x", "did you mean 'base_frame'"),
    ("qqqq=x", "known are max_points, min_range"),
    ("max_points=many", "an integer, got 'many'"),
    ("max_points=0", "1 to"),
    ("sensor_pose=[1, 2]", "multiple of 6 numbers, got 2"),
    ("sensor_pose=[0, 0, .nan, 0, 0, 0]", "-1000.0 to 1000.0, got nan"),
    ("network_pose=[0, 0, .inf, 0, 0, 0]", "got inf"),
    ("sensor_pose=[0, 0, 1001, 0, 0, 0]", "got 1001.0"),
    ("network_pose=[0, 0, 1" + 400 * "0" + ", 0, 0, 0]", "got inf"),
    ("min_range=.nan", "0.0 to 100.0, got nan"),
    ("min_range=true", "a number with a decimal point, got True"),
    ("min_range=2001-02-30", "'min_range' to be YAML, got"),
    ("min_range=!!python/object/apply:os.getcwd []", "'min_range' to be YAML, got could not"),
    ("min_range", "name=value"),
    ("voxel_layers=[colour]", "got 'colour'"),
    ("voxel_layers=[semantics, semantics]", "each once"),
    ("voxel_layers=[]", "one or more"),
    ("output_frame=base", "base_frame"),
    ("obstacle_max_z=-3", "above obstacle_min_z"),
    ("intensity_maxima=[-1]", "0.0 to 1"),
    ("intensity_maxima=[255, 1]", "at most one number per LiDAR, 1, got 2"),
    ("deskew=tf", "'base_frame' to be a frame's name with deskew = tf"),
    ("camera_topics=[/front/image]", "given with --camera"),
    ("merge_timeout=1", "'merge_timeout', which only the node has: a replay reads the clouds of one LiDAR"),
    ("degraded_range=10", "only the node has: a replay computes every cloud with full effort"),
    ("max_age=1", "given with --max-age"),
    ("checkpoint=a", "given with --checkpoint"),
])
def test_a_wrong_parameter_is_told_with_its_rule(text, message):
    with pytest.raises(ConfigError) as caught:
        settings_from([text])
    assert message in str(caught.value)


def test_a_bad_value_gets_the_sentence_that_the_node_says():
    with pytest.raises(ConfigError) as replay:
        settings_from(["tf_timeout=9.5"])
    with pytest.raises(ConfigError) as node:
        check_value("tf_timeout", 9.5, NodeConfig)
    assert str(replay.value) == str(node.value)


def test_a_parameter_is_given_once():
    with pytest.raises(ConfigError, match=r"given once, got min_range again with '2\.0'"):
        settings_from(["min_range=1.0", "min_range=2.0"])


@pytest.mark.parametrize(("values", "said"), [
    ({"num_threads": 0}, "'num_threads' to be 1 to 256"),
    ({"min_range": 1}, "write 1.0"),
    ({"warm_up": False}, "'warm_up', which only the node has"),
    ({"obstacle_min_z": 3.0}, "'obstacle_max_z' to be above"),
    ({"camera_topics": ("/front",)}, "'camera_poses' to have"),
])
def test_settings_made_in_code_are_checked_too(values, said):
    with pytest.raises(ConfigError, match=said):
        ReplaySettings(**values)


def test_every_parameter_of_the_node_is_a_replays_or_refused_with_a_reason():
    own = ReplaySettings.own_names()
    assert set(own) == set(ReplaySettings().own_values()) and "deskew" in own and "autostart" not in own
    for name in set(NodeConfig.names()) - set(own):
        with pytest.raises(ConfigError, match=f"'{name}', which only the node has: a replay "):
            settings_from([f"{name}={NodeConfig.setting(name).default}"])


VEHICLE = """
/**:
  ros__parameters: {use_sim_time: true, min_range: 0.5, warm_up: false, max_points: 7}
car:
  panoptic_scene_completion:
    ros__parameters:
      max_points: 8
      base_frame: base_link
      partner_topics: [/rear]
      intensity_maxima: [255.0, 1.0]
      device: cuda:0
      num_threads: 0
      deskew: tf
"""


@pytest.fixture
def file(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "car.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_vehicles_file_gives_a_replay_what_it_has_and_tells_the_rest_once(file):
    taken, remarks = settings_in_file(file(VEHICLE))
    assert taken == {
        "min_range": 0.5, "max_points": 8, "base_frame": "base_link", "intensity_maxima": (255.0,), "deskew": "tf"
    }
    assert remarks == (
        "A replay does not use these parameters of car.yaml: warm_up = false, partner_topics = [\"/rear\"], device = "
        "\"cuda:0\", nor 1 more at the node's defaults",
    )
    settings = settings_from(["min_range=0.7"], **taken)
    assert (settings.min_range, settings.max_points, settings.device) == (0.7, 8, "cpu")


def test_the_nodes_own_file_of_defaults_is_a_replay_with_its_defaults():
    taken, remarks = settings_in_file(Path(__file__).parents[2] / "config" / "panoptic_scene_completion.yaml")
    assert settings_from([], **taken) == ReplaySettings()
    assert set(taken) | {"device", "num_threads"} == set(ReplaySettings.own_names())
    count = len(NodeConfig.names()) - len(taken)
    told = f"A replay does not use {count} parameters of panoptic_scene_completion.yaml, all at the node's defaults"
    assert remarks == (told,)


def test_a_file_of_which_everything_is_used_needs_no_remark(file):
    assert settings_in_file(file("/**:\n  ros__parameters: {tf_timeout: 0.3}\n")) == ({"tf_timeout": 0.3}, ())


@pytest.mark.parametrize(("text", "message"), [
    ("/**:\n  ros__parameters: {min_rnage: 1.0}\n", "to be known ones, got 'min_rnage': did you mean 'min_range'"),
    ("/**:\n  ros__parameters: {min_range: 1}\n", "with a decimal point, got 1: write 1.0 in"),
    ("/**:\n  ros__parameters: {merge_timeout: 99.0}\n", "'merge_timeout' to be 0.0 to 10.0, got 99.0 in"),
    ("scene_fusion:\n  ros__parameters: {tf_timeout: 0.3}\n", "to have a section 'panoptic_scene_completion'"),
    ("min_range: 1.0\n", "got none"),
    ("a/panoptic_scene_completion:\n  ros__parameters: {}\nb/panoptic_scene_completion:\n  ros__parameters: {}\n",
     "one section for a node 'panoptic_scene_completion', got /a/panoptic_scene_completion, /b/panoptic"),
    ("min_range: [\n", "car.yaml to be YAML"),
])
def test_a_file_that_the_node_would_refuse_is_refused_by_name(file, text, message):
    with pytest.raises(ConfigError) as caught:
        settings_in_file(file(text))
    assert message in str(caught.value) and "car.yaml" in str(caught.value)
