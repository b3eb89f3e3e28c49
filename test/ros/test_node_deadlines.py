"""The running node under load: bounded age and memory, every cloud accounted for, less effort and more again."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")

import torch
from effort_stand_in import LevelledModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_bench import STREET, wait_for
from pasco.msg import FrameStatus

from pasco_core.messages.scene_reader import layer_values
from pasco_core.settings.deadline_settings import LEVELS

FAST = {"diagnostics_period": 0.1, "max_failures": 1000}


def node_with(bench, stand_in, topics=("segments",), **parameters):
    return bench(model_loader=lambda config: stand_in.model(), topics=topics, parameters={**FAST, **parameters}).start()


def drive(node, seconds, rate=50.0):
    """Clouds stamped with the present time, at ``rate`` Hz; returns how many."""
    end, sent = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        node.stamp = max(time.time_ns(), node.stamp + 1)
        node.send(header=node.header(step=0.0))
        sent += 1
        time.sleep(1 / rate)
    return sent


def settled(node):
    """The last status once no cloud is on its way any more."""
    wait_for(lambda: node.statuses and node.statuses[-1].frames_by_outcome[FrameStatus.PENDING] == 0)
    return node.statuses[-1]


def test_row_18_fifty_hertz_on_a_model_that_is_more_than_ten_times_too_slow(bench):
    stand_in = LevelledModel(seconds=(0.5, 0.4, 0.35, 0.3))
    node = node_with(bench, stand_in, max_age=1.0, target_rate=4.0, recovery_time=0.5, recovery_headroom=1.0)
    drive(node, 2.5)
    wait_for(lambda: drive(node, 0.3) and node.node.health().effort == LEVELS[-1], 30.0)
    drive(node, 0.5)
    assert "deadlines were missed" in node.condition("effort", "semantics_only: ").message
    # However many clouds came: one is computed, one waits, the rest is settled.
    assert sum(s.frames_by_outcome[FrameStatus.PENDING] > 2 for s in node.statuses) == 0
    final = settled(node)
    assert final.frames_received == sum(final.frames_by_outcome) == len(node.statuses)
    published = [s for s in node.statuses if s.outcome == FrameStatus.PUBLISHED]
    assert {s.outcome for s in node.statuses} <= {
        FrameStatus.PUBLISHED, FrameStatus.DROPPED_OVERLOAD, FrameStatus.DROPPED_STALE}
    assert len(published) >= 5
    for status in published:
        # The limit is checked right before publishing; the age is taken right after it.
        publishing = status.stage_seconds[list(status.stage_names).index("publish")]
        assert 0 < status.age - publishing <= 1.0
    efforts = [LEVELS.index(s.effort) for s in published]
    assert efforts == sorted(efforts) and efforts[0] == 0 and efforts[-1] == 3
    assert all(s.effort == "" for s in node.statuses if s.outcome == FrameStatus.DROPPED_OVERLOAD)
    # The machine becomes fast, and full effort comes back.
    stand_in.seconds = {}
    before = len(node.statuses)
    wait_for(lambda: drive(node, 0.3, rate=20.0) and node.node.health().effort == "full", 30.0)
    drive(node, 0.2)
    settled(node)
    path = list(dict.fromkeys(s.effort for s in node.statuses[before:] if s.outcome == FrameStatus.PUBLISHED))
    assert path[-4:] == list(reversed(LEVELS))
    assert node.condition("effort", "full").level == b"\x00"


def test_an_input_older_than_the_limit_lowers_no_effort_because_that_would_not_help(bench):
    stand_in = LevelledModel()
    node = node_with(bench, stand_in, max_age=0.5)
    node.stamp = time.time_ns() - 5_000_000_000
    codes = [node.send_and_wait(header=node.header(0.01)).code for _ in range(8)]
    assert codes == ["STALE"] * 8 and not stand_in.calls and node.node.health().effort == "full"


def test_the_level_can_be_fixed_while_the_node_runs(bench):
    node = node_with(bench, LevelledModel())
    assert node.send_and_wait().effort == "full"
    for level in ("semantics_only", "fewer_subnets", "full"):
        assert node.set_parameter("degradation", level).successful
        assert node.send_and_wait().effort == level
    refused = node.set_parameter("degradation", "lowest")
    assert not refused.successful and "semantics_only" in refused.reason
    assert not node.set_parameter("missed_deadlines", 9).successful


def test_row_26_out_of_memory_lowers_the_effort_and_the_cloud_is_published_all_the_same(bench):
    stand_in = LevelledModel(out_of_memory={"full": torch.cuda.OutOfMemoryError("CUDA out of memory")})
    node = node_with(bench, stand_in)
    status = node.send_and_wait()
    assert (status.outcome, status.effort) == (FrameStatus.PUBLISHED, "fewer_subnets")
    assert "the memory ran out" in node.condition("effort", "fewer_subnets").message
    stand_in.out_of_memory = {level: torch.cuda.OutOfMemoryError("CUDA out of memory") for level in LEVELS}
    failed = node.send_and_wait()
    assert failed.outcome == FrameStatus.INFERENCE_FAILED and "memory" in failed.message
    assert (failed.occupied_voxels, failed.n_segments) == (0, 0) and np.isnan(failed.age)
    stand_in.out_of_memory = {}
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED


def test_row_28_a_computation_that_hangs_is_reported_while_it_hangs(bench):
    stand_in = LevelledModel(seconds=(1.5,))
    node = node_with(bench, stand_in, input_timeout=0.3)
    node.send()
    end = time.monotonic() + 1.4
    reported = False
    while time.monotonic() < end and not reported:
        node.send()
        time.sleep(0.05)
        reported = any("has been running for" in s.message and s.level == b"\x02"
                       for array in node.diagnostics for s in array.status)
    assert reported
    settled(node)


def test_the_age_is_unknown_while_the_nodes_clock_has_not_started(bench):
    node = node_with(bench, LevelledModel(), use_sim_time=True, max_age=1.0)
    status = node.send_and_wait()
    assert status.outcome == FrameStatus.PUBLISHED and np.isnan(status.age)


def test_beyond_the_shorter_range_every_layer_of_the_grid_is_unknown(bench):
    class Near(LevelledModel):
        def __call__(self, points, effort="full"):
            scene = super().__call__(points, effort)
            if effort == "shorter_range":
                scene.semantics[128:], scene.voxel_uncertainty[128:] = 255, 1.0
            return scene

    node = node_with(bench, Near(), ("voxels", "occupancy_grid", "uncertainty_grid"), degradation="shorter_range")
    assert node.send_and_wait(STREET).outcome == FrameStatus.PUBLISHED
    voxels = wait_for(lambda: node.received["voxels"])[0]
    assert len(voxels.layers) == 4
    for layer in voxels.layers:
        unknown = layer_values(voxels, layer.name)[1]
        assert unknown[128:].all() and not unknown[:128].any(), layer.name
    for name in ("occupancy_grid", "uncertainty_grid"):
        cells = np.asarray(wait_for(lambda name=name: node.received[name])[0].data).reshape(256, 256)
        assert (cells[:, 128:] == -1).all() and (cells[:, :128] != -1).any()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["cloud", "cloud", "cloud", "slow", "fast", "break", "mend", "again", "bad", "twice"]),
                min_size=5, max_size=25))
def test_row_18_on_the_running_node_inputs_are_the_sum_of_the_outcomes(bench, running, steps):
    node, stand_in = running
    began, sent = len(node.statuses), []
    total = sum(node.node.health().total)
    for step in steps:
        if step == "again":
            assert node.lifecycle.change("deactivate", 10)
            node.activate()
        elif step in ("slow", "fast"):
            stand_in.seconds = {"full": 0.1} if step == "slow" else {}
        elif step in ("break", "mend"):
            stand_in.out_of_memory = {"full": ValueError("boom")} if step == "break" else {}
        else:
            changes = {"bad": {"data": b"123"}, "twice": {"header": node.header(0.0)}}.get(step, {})
            sent.append(node.send(**changes))
            time.sleep(0.002)
    stand_in.seconds, stand_in.out_of_memory = {}, {}
    wait_for(lambda: last_is_settled(node, sent), 30.0)
    # What DDS did not hand over is no input; all the others have one status each.
    received = sum(node.node.health().total) - total
    wait_for(lambda: len(node.statuses) - began == received)
    assert received <= len(sent)
    since = node.statuses[-1]
    assert since.frames_received == sum(since.frames_by_outcome) and since.frames_by_outcome[FrameStatus.PENDING] == 0
    assert all(status.outcome != FrameStatus.PENDING for status in node.statuses[began:])


def last_is_settled(node, sent):
    """Send a cloud, and see whether it is the last one and nothing is on its way any more."""
    sent.append(node.send())
    try:
        wait_for(lambda: node.statuses and node.statuses[-1].header.stamp == sent[-1].header.stamp, 1.0)
    except AssertionError:
        return False
    return node.node.health().total[FrameStatus.PENDING] == 0


@pytest.fixture
def running(bench):
    stand_in = LevelledModel()
    return node_with(bench, stand_in), stand_in


def test_deadlines_missed_at_a_level_that_is_kept_are_an_error_in_the_diagnostics(bench):
    stand_in = LevelledModel(seconds=(0.3, 0.3, 0.3, 0.3))
    node = node_with(bench, stand_in, target_rate=20.0, degradation="full", missed_deadlines=2)
    drive(node, 1.5)
    condition = node.condition("effort", "full: ")
    assert condition.level == b"\x02" and "deadline" in condition.message
