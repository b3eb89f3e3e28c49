"""The soak test: its schedule, its clouds, its verdict, and a short run of it against the node in its own process."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")
pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not built: run `make setup`")

from node_bench import STREET, wait_for
from ros_stand_in import FakePredictor
from std_msgs.msg import Header

from pasco_core.data.cloud_message import decode_cloud
from pasco_core.errors import CloudError, InferenceError
from pasco_core.prediction import ScenePrediction
from pasco_core.stream.header_checks import check_header
from pasco_core.stream.model import Model
from pasco_core.stream.outcomes import Outcome
from pasco_ros.outputs.messages import cloud_message
from pasco_ros.soak.clouds import KINDS
from pasco_ros.soak.faulty_node import FaultyPredictor, scan_voxels
from pasco_ros.soak.schedule import EPISODES, make_schedule
from pasco_ros.soak.verdict import Findings, error_lines, judge, memory_growth

ROOT = Path(__file__).parents[2]
NOW = 2_000_000_000  # ns
NAMES = tuple(KINDS)


def test_row_30_a_short_soak_accounts_for_every_cloud_and_leaves_no_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pasco_ros.soak", "--minutes", "0.2", "--frames", "0", "--seed", "3", "--json",
         "--out", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads(done.stdout)
    assert verdict == json.loads((tmp_path / "verdict.json").read_text()) and all(verdict["checks"].values())
    clouds = verdict["clouds"]
    assert clouds["received"] == sum(clouds["outcomes"].values()) > 50 and clouds["outcomes"]["REJECTED"] > 5
    assert len(verdict["faults"]) >= 8 and verdict["outputs"]["voxels"] > 0


def test_row_30_what_a_cloud_leads_to_does_not_wait_for_the_garbage_collector(bench):
    node = bench(predictor=lambda points, **options: scan_voxels(points)).start()
    node.send_and_wait()
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            node.send_and_wait()
        for received in node.received.values():
            received.clear()
        held = wait_for(lambda: 1 + sum(type(o) is ScenePrediction for o in gc.get_objects()))
    finally:
        gc.enable()
    assert held - 1 <= 1


def test_row_22_the_process_is_told_of_a_computation_that_outlives_a_cleanup(bench, monkeypatch):
    monkeypatch.setattr("pasco_ros.processing._STOP_TIMEOUT", 0.1)
    predictor = FakePredictor()
    node = bench(predictor=predictor).start()
    predictor.delay = 1.5
    node.send()
    wait_for(lambda: predictor.seen)
    assert node.lifecycle.change("deactivate", 10) and node.lifecycle.change("cleanup", 10)
    assert node.node.close() is False
    time.sleep(1.6)
    assert node.node.close() is True


def test_the_same_seed_gives_the_same_schedule_and_another_one_another():
    assert make_schedule(1, 60, 10, NAMES) == make_schedule(1, 60, 10, NAMES) != make_schedule(2, 60, 10, NAMES)


@pytest.mark.parametrize("seconds", [15.0, 1200.0])
def test_every_fault_has_its_turn_within_the_time(seconds):
    steps = make_schedule(4, seconds, 10, NAMES)
    times = [step.time for step in steps]
    assert times == sorted(times) and times[0] >= 0 and times[-1] < seconds
    counts = Counter(step.action for step in steps)
    assert set(counts) == {"cloud", *EPISODES}
    kinds = Counter(step.kind for step in steps if step.action == "cloud")
    assert set(kinds) == set(NAMES) and kinds["good"] > 0.7 * counts["cloud"]


def test_a_silence_is_silent():
    steps = make_schedule(4, 60, 10, NAMES)
    for silence in (step for step in steps if step.action == "silence"):
        inside = [s for s in steps if silence.time <= s.time < silence.time + silence.amount and s.action == "cloud"]
        assert silence.amount > 0.3 and not inside


@pytest.mark.parametrize("name", KINDS)
def test_each_broken_cloud_is_broken_in_the_way_its_allowed_outcomes_say(name):
    header = Header(frame_id="lidar")
    header.stamp.sec = NOW // 1_000_000_000
    message = cloud_message(STREET, header)
    KINDS[name].change(message, np.random.default_rng(0))
    refused = check_header(message.header, "/points", NOW, 1.0) is not None
    if not refused:
        try:
            points = decode_cloud(message, "/points", max_points=100_000).points
            outcome = Outcome.PUBLISHED if np.abs(points[:, :3]).max() < 500 else Outcome.EMPTY
        except CloudError as error:
            outcome = Outcome.EMPTY if error.code == "EMPTY" else Outcome.REJECTED
    assert (Outcome.REJECTED if refused else outcome) in KINDS[name].allowed
    rejected_only = KINDS[name].allowed == {Outcome.REJECTED}
    assert rejected_only == (refused or outcome == Outcome.REJECTED)


def test_the_model_fails_as_its_seed_says_but_not_while_it_warms_up():
    scene = scan_voxels(STREET)

    def failures(seed: int) -> list[str]:
        predictor = FaultyPredictor(Model(lambda points: scene, "stand-in"), seed)
        predictor(STREET)
        told = []
        for _ in range(400):
            try:
                finite = np.isfinite(predictor(STREET).voxel_uncertainty[0, 0, 0])
                told.append("" if finite else "not finite")
            except InferenceError:
                told.append("raises")
        return told

    first = failures(1)
    assert first == failures(1) and {"raises", "not finite", ""} == set(first)


def found(**changes) -> Findings:
    whole = {"seconds": 600.0, "received": 10, "statuses": 10, "outcomes": {"PUBLISHED": 6, "REJECTED": 4},
             "memory": [(float(t), 1000) for t in range(20)]}
    return Findings(**{**whole, **changes})


BAD = {
    "no unaccounted cloud: received = statuses = sum of outcomes": (
        {"statuses": 9}, {"outcomes": {"PUBLISHED": 9}}, {"unbalanced": ["10 received, 9 statuses"]}),
    "every cloud has an outcome that its state allows": ({"surprises": {"PUBLISHED (OK)": 1}},),
    "resident memory grows by at most 5% after the warm-up": (
        {"memory": [(float(t), 1000 + 10 * t) for t in range(20)]},),
    "no unexpected error in the log": ({"log": ["[ERROR] ..."]},),
    "the node ends with exit code 0": ({"exit_code": -6},),
    "the node received clouds and published results": (
        {"received": 0, "statuses": 0, "outcomes": {}}, {"outcomes": {"REJECTED": 10}}),
}


@pytest.mark.parametrize("check", BAD)
def test_the_verdict_fails_by_the_check_that_does_not_hold(check):
    assert judge(found())["passed"] is True
    for changes in BAD[check]:
        verdict = judge(found(**changes))
        assert verdict["passed"] is False and [n for n, passed in verdict["checks"].items() if not passed] == [check]


def test_memory_is_judged_in_long_runs_only():
    growing = [(float(t), 1000 + 10 * t) for t in range(20)]
    assert judge(found(seconds=20.0, memory=growing))["passed"] is True


def test_memory_used_for_a_moment_is_no_growth_but_memory_kept_is():
    sawtooth = [(float(t), 1000 + 400 * (t % 3)) for t in range(60)]
    assert memory_growth(sawtooth) == 0.0
    assert memory_growth([(t, n + 2 * int(t)) for t, n in sawtooth]) == pytest.approx(0.06, abs=0.02)


def test_errors_are_found_in_a_log():
    fine, bad = ["[INFO] [1] [n]: fine", "[WARN] [1] [n]: an ERROR in words"], ["[ERROR] [1] [n]: bad"]
    traceback = ["Traceback (most recent call last):"]
    assert error_lines("\n".join([*fine, *bad, *fine, *traceback])) == [*bad, *traceback]


@pytest.mark.parametrize(("options", "complaint"), [
    (("--minutes", "0"), "--minutes to be at least 0.1"), (("--rate", "1000"), "--rate to be 1 to 100"),
    (("--frames", "-1"), "--frames to be 0 to 1000"), (("--seed", "-1"), "--seed to be at least 0"),
])
def test_wrong_options_are_refused_in_one_line(options, complaint, capsys, tmp_path):
    from pasco_ros.soak.__main__ import main

    assert main([*options, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert complaint in error and error.count("\n") == 1 and not (tmp_path / "out").exists()
