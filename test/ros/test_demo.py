"""The demo: the whole graph in real processes, its recording, and its end under every circumstance."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")
pytest.importorskip("rosbags", reason="rosbags is not installed: run `make setup`")

from node_bench import STREET, wait_for
from PIL import Image
from rosbags.highlevel import AnyReader

from pasco_core.cli import demo
from pasco_core.data.bags.message_types import known_types
from pasco_core.errors import ConfigError, DataError
from pasco_core.messages.scene_reader import scene_from_messages
from pasco_core.stream.header_checks import stamp_ns
from pasco_ros.demo.bag import read_bag, remove_bag
from pasco_ros.demo.processes import graph_environment
from pasco_ros.demo.scans import file_scans, find_scans

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("demo_with_stand_in.py")


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """A KITTI sequence folder with three small scans."""
    folder = tmp_path_factory.mktemp("kitti") / "velodyne"
    folder.mkdir()
    for number in range(3):
        (STREET + np.float32([number, 0, 0, 0])).astype("<f4").tofile(folder / f"{number:06d}.bin")
    return folder.parent


def start(out: Path, *options: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), "--out", str(out), *options], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment},
        # A shell's background job ignores SIGINT, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # type: ignore[arg-type, return-value]
    )


def processes_of(out: Path) -> list[int]:
    """Processes whose command line or open log says that they belong to this run."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
            links = [os.readlink(f) for f in (entry / "cwd",)] if command else []
        except OSError:
            continue
        if str(out).encode() in command or (b"ros_stand_in" in command and str(ROOT) in links and _parent_gone(entry)):
            found.append(int(entry.name))
    return found


def _parent_gone(entry: Path) -> bool:
    return re.search(r"PPid:\s+1\n", (entry / "status").read_text()) is not None


@pytest.fixture(scope="module")
def finished(scans, tmp_path_factory):
    """Output folder, exit code and terminal text of one whole run."""
    out = tmp_path_factory.mktemp("demo")
    process = start(out, "--scans", str(scans), "--frames", "12", "--rate", "20", PASCO_TEST_DELAY="0.15",
                    _ROS_WHEELS_BOOTSTRAP_COMPLETE="1", ROS_LOCALHOST_ONLY="1")
    text, _ = process.communicate(timeout=90)
    return out, process.returncode, text


def test_the_demo_ends_by_itself_with_every_check_passed(finished):
    out, code, text = finished
    assert code == 0, text
    assert "inputs = sum of outcomes" in text and "p95" in text and str(out) in text
    summary = json.loads((out / "summary.json").read_text())
    assert all(summary["checks"].values()) and summary["clouds"]["sent"] == summary["clouds"]["received"] == 12
    assert summary["stopped_early"] is False and summary["clouds"]["asked for"] == 12 and "asked for" in text
    assert "12 clouds of 3 scans of" in text
    dropped = sum(summary["clouds"]["not published, by reason"].values())
    assert summary["clouds"]["published"] + dropped == 12 and summary["clouds"]["published"] >= 1
    assert {"decode", "network", "reception to publication"} <= summary["latency_ms"].keys()
    assert all(v["median"] <= v["p95"] for v in summary["latency_ms"].values())


def test_the_recording_is_read_by_a_program_that_knows_nothing_of_the_demo(finished):
    counts = {}
    with AnyReader([finished[0] / "bag"], default_typestore=known_types()) as reader:
        for connection, _, raw in reader.messages():
            message = reader.deserialize(raw, connection.msgtype)
            counts[connection.topic] = counts.get(connection.topic, 0) + 1
            if connection.msgtype == "pasco/msg/VoxelGrid":
                assert [layer.name for layer in message.layers] == [
                    "semantics", "instance", "occupancy_probability", "uncertainty"
                ]
                assert all(len(layer.data) in (256 * 256 * 32, 2 * 256 * 256 * 32) for layer in message.layers)
    published = json.loads((finished[0] / "summary.json").read_text())["clouds"]["published"]
    assert counts["/points"] == counts["/panoptic_scene_completion/status"] == 12
    for name in ("voxels", "occupied_points", "segments", "instances", "occupancy_grid", "uncertainty_grid"):
        assert counts[f"/panoptic_scene_completion/{name}"] == published


def test_the_recorded_scene_is_the_one_the_recorded_cloud_leads_to(finished):
    from ros_stand_in import voxelised_scene

    from pasco_core.data.cloud_message import decode_cloud

    by_stamp: dict[int, dict] = {}
    for topic, _, message in read_bag(finished[0] / "bag"):
        if topic.endswith(("/points", "/voxels", "/segments")):
            by_stamp.setdefault(stamp_ns(message.header.stamp), {})[topic.rsplit("/", 1)[-1]] = message
    whole = [found for found in by_stamp.values() if len(found) == 3]
    assert whole
    for found in whole:
        scene = scene_from_messages(found["voxels"], found["segments"])
        np.testing.assert_array_equal(scene.panoptic, voxelised_scene(decode_cloud(found["points"]).points).panoptic)


def test_the_pictures_of_the_first_middle_and_last_published_cloud_are_there(finished):
    pictures = sorted(finished[0].glob("scene_*.png"))
    published = json.loads((finished[0] / "summary.json").read_text())["clouds"]["published"]
    assert len(pictures) == min(3, published)
    for path in pictures:
        with Image.open(path) as picture:
            grey = np.asarray(picture.convert("L"))
            assert picture.width > 1000 and len(np.unique(grey)) > 100


def test_ctrl_c_while_playing_ends_every_process(scans, tmp_path):
    process = start(tmp_path, "--scans", str(scans), "--frames", "400", "--rate", "20")
    log = tmp_path / "logs" / "node.log"
    wait_for(lambda: log.exists() and "Active" in log.read_text(), 40)
    assert len(processes_of(tmp_path)) >= 2
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 130 and "interrupted" in text and "Traceback" not in text
    assert time.monotonic() - started < 25 and processes_of(tmp_path) == []


def test_ctrl_c_while_scans_are_prepared_ends_every_process(tmp_path):
    process = start(tmp_path, "--frames", "400")
    wait_for(lambda: (tmp_path / "logs" / "player.log").exists(), 30)
    process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in text
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("victim", ["recorder", "player"])
def test_a_process_that_dies_ends_the_demo_with_a_clear_message(scans, tmp_path, victim):
    process = start(tmp_path, "--scans", str(scans), "--frames", "400", "--rate", "20")
    number = wait_for(lambda: [p for p in processes_of_kind(victim, tmp_path, scans)], 30)[0]
    time.sleep(1.0)
    os.kill(number, signal.SIGKILL)
    text, _ = process.communicate(timeout=40)
    assert process.returncode == 1
    assert re.search(rf"The {victim} ended unexpectedly \(signal SIGKILL\)", text) and "Traceback" not in text
    assert processes_of(tmp_path) == []


def processes_of_kind(kind: str, out: Path, scans: Path) -> list[int]:
    mark = str(out if kind == "recorder" else scans).encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if f"pasco_ros.demo.{kind}".encode() in command and mark in command:
            found.append(int(entry.name))
    return found


def test_a_node_that_cannot_start_ends_the_demo_with_its_last_words(scans, tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("import sys\nprint('the battery is empty')\nsys.exit(3)\n")
    command = [sys.executable, "-c", (
        "import sys; from pasco_ros.demo.__main__ import main;"
        f"sys.exit(main(['--scans', {str(scans)!r}, '--out', {str(tmp_path / 'out')!r}], node=(sys.executable, "
        f"{str(script)!r})))"
    )]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "The node ended unexpectedly (exit code 3)" in done.stderr
    assert "the battery is empty" in done.stderr and "Traceback" not in done.stderr


WRONG = {
    ("--scans", "/nowhere"): "Expected /nowhere to be a folder with KITTI scans (*.bin or velodyne/*.bin), got nothing",
    ("--scans", str(ROOT / "docs")): "got architecture.md",
    ("--scans", __file__): "got a file there",
    ("--frames", "0"): "--frames to be 1 to 10000, got 0",
    ("--rate", "0"): "--rate to be 0.1 to 100",
    ("--checkpoint", "missing.safetensors"): "missing.safetensors",
    ("--checkpoint", __file__): f"run `pasco convert {__file__} {Path(__file__).with_suffix('.safetensors')}` first",
    ("--time-limit", "inf"): "--time-limit to be above 20 s, got inf",
}


@pytest.mark.parametrize("options", WRONG)
def test_wrong_options_are_refused_before_anything_starts(options, tmp_path, capsys):
    from pasco_ros.demo.__main__ import main

    assert main([*options, "--out", str(tmp_path / "out")]) == 2
    assert WRONG[options] in capsys.readouterr().err
    assert not (tmp_path / "out" / "logs").exists()


@pytest.mark.parametrize(("out", "complaint"), [
    (__file__, f"Expected --out to be a folder, got the file {__file__}"),
    ("/proc/demo", "Expected --out to be a folder that can be made, got /proc/demo: "),
    (f"{__file__}/demo", f"Expected --out to be a folder that can be made, got {__file__}/demo: "),
])
def test_an_out_folder_that_cannot_be_made_is_refused_by_name(out, complaint, capsys):
    from pasco_ros.demo.__main__ import main

    assert main(["--out", out]) == 2
    error = capsys.readouterr().err
    assert complaint in error and error.count("\n") == 1


@pytest.fixture(scope="module")
def cut_short(scans, tmp_path_factory):
    """Output folder and process of a run that the time limit ends, without a home folder, with --json."""
    out = tmp_path_factory.mktemp("short")
    environment = {name: v for name, v in os.environ.items() if name not in ("HOME", "ROS_HOME", "ROS_LOG_DIR")}
    return out, subprocess.run(
        [sys.executable, str(PROGRAM), "--out", str(out), "--scans", str(scans), "--frames", "1000", "--rate", "10",
         "--time-limit", "30", "--json"],
        cwd=ROOT, text=True, capture_output=True, timeout=60, env={**environment, "PYTHONPATH": str(ROOT)},
    )


def test_time_that_runs_out_while_playing_is_said_and_counted(cut_short):
    summary = json.loads((cut_short[0] / "summary.json").read_text())
    sent = summary["clouds"]["sent"]
    assert summary["stopped_early"] is True and summary["clouds"]["asked for"] == 1000 > sent
    assert f"Time is up: {sent} of 1000 clouds were played" in cut_short[1].stderr and summary["seconds"] < 40


def test_with_json_the_summary_is_all_that_stdout_holds(cut_short):
    out, done = cut_short
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((out / "summary.json").read_text())


def test_without_a_home_folder_ros_keeps_its_logs_with_the_demos(cut_short):
    assert len(list((cut_short[0] / "logs").glob("*.log"))) > 3


def test_the_time_limit_bounds_the_start_up(tmp_path):
    process = start(tmp_path, "--frames", "10000", "--time-limit", "20.5")
    text, _ = process.communicate(timeout=40)
    assert process.returncode == 1 and "Traceback" not in text
    assert "Expected the start-up to take less than 0.5 s, got this far: starting the node" in text
    assert "--time-limit" in text and processes_of(tmp_path) == []


def test_ros_that_cannot_start_is_told_in_one_line(scans, tmp_path, monkeypatch, capsys):
    from rclpy.impl.implementation_singleton import rclpy_implementation

    from pasco_ros.demo import run
    from pasco_ros.demo.__main__ import main

    def fail(*_):
        raise rclpy_implementation.RCLError("failed to initialize logging:\n rcutils_expand_user failed")

    monkeypatch.setattr(run, "run_demo", fail)
    assert main(["--scans", str(scans), "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        "demo: Expected ROS 2 to start, got: failed to initialize logging: rcutils_expand_user failed\n"
    )


@pytest.mark.parametrize("name", ["a: b.safetensors", "12.5", "yes", 'say "hä 🚗".safetensors', "a\\b", "# c", "a:=b"])
def test_the_node_is_given_the_checkpoint_as_it_is_called(name):
    import rclpy
    from rclpy.node import Node

    from pasco_ros.demo.run import DemoSettings, _node_arguments

    settings = DemoSettings(node=(), out=Path(), checkpoint=Path(name), features_checkpoint=Path(name))
    context = rclpy.Context()
    rclpy.init(args=_node_arguments(settings), context=context)
    try:
        node = Node("named", context=context, automatically_declare_parameters_from_overrides=True)
        values = [node.get_parameter(parameter).value for parameter in ("checkpoint", "features_checkpoint")]
        node.destroy_node()
    finally:
        context.shutdown()
    assert values == [name, name]


def test_the_pasco_command_hands_every_option_on_as_it_was_given():
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    given = parser.parse_args(["--frames", "1", "--rate=1", "--time-limit", "60", "--json", "--scans", "a b"])
    assert parser.parse_args(demo._options(given)) == given
    assert "--json" not in demo._options(parser.parse_args([]))


def test_scans_are_found_in_a_velodyne_folder_and_in_the_sequence_that_holds_it(scans):
    assert find_scans(scans) == find_scans(scans / "velodyne") and len(find_scans(scans)) == 3


def test_fewer_scans_than_clouds_are_repeated(scans):
    played = list(file_scans(find_scans(scans), 7, lambda: False))
    assert [float(scan[0, 0]) for scan in played] == [5, 6, 7, 5, 6, 7, 5]


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="an empty folder"):
        find_scans(tmp_path)


def test_an_earlier_bag_is_replaced_but_nothing_else_is_removed(tmp_path):
    bag = tmp_path / "bag"
    bag.mkdir()
    (bag / "metadata.yaml").touch()
    (bag / "bag.mcap").touch()
    remove_bag(bag)
    assert not bag.exists()
    bag.mkdir()
    (bag / "holiday.jpg").touch()
    with pytest.raises(DataError, match=r"holiday\.jpg"):
        remove_bag(bag)
    assert (bag / "holiday.jpg").exists()


def test_a_broken_bag_is_named(tmp_path):
    with pytest.raises(DataError, match="to be a rosbag2 folder"):
        list(read_bag(tmp_path))


def test_the_processes_get_a_domain_of_their_own_and_none_of_the_shells_middleware_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "1")
    monkeypatch.setenv("FASTDDS_BUILTIN_TRANSPORTS", "UDPv4")
    environment = graph_environment(42, tmp_path)
    assert environment["ROS_DOMAIN_ID"] == "42" and environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert "_ROS_WHEELS_BOOTSTRAP_COMPLETE" not in environment and "FASTDDS_BUILTIN_TRANSPORTS" not in environment
    profile = environment.get("FASTDDS_DEFAULT_PROFILES_FILE") or environment["FASTRTPS_DEFAULT_PROFILES_FILE"]
    assert Path(profile) == ROOT / "config" / "fastdds_profile.xml"
