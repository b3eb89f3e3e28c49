"""Clocks and stamps that jump, through the whole node: what is of before is forgotten, what is of after is not."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")
pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not there: run `make setup`")

from node_bench import wait_for
from pasco.msg import FrameStatus
from ros_stand_in import FakePredictor

from pasco_ros.frames.clock_watch import ClockWatch


@pytest.mark.parametrize("step", [0.6, 4.0])
@pytest.mark.parametrize("first", [("clock", "tf", "cloud"), ("tf", "clock", "cloud"), ("tf", "cloud", "clock")])
def test_row_15_a_looped_recording_loses_no_cloud(framed, step, first):
    """Runs shorter and longer than tf_cache_time; whatever tells ``first`` that the recording begins anew."""
    predictor = FakePredictor()
    node, frames = framed(predictor=predictor, use_sim_time=True)
    for run in range(3):
        for number in range(4):
            time, order = 100.0 + step * number, first if run and number == 0 else ("clock", "tf", "cloud")
            computed, told = len(predictor.seen), len(node.statuses)
            predictor.delay = 0.2 if order[-1] == "clock" else 0.0
            for kind in order:
                if kind == "clock":
                    frames.tick(time)
                elif kind == "tf":
                    for offset in (-0.05, 0.05):
                        frames.send("base", "lidar", round((time + offset) * 1e9))
                else:
                    node.stamp = round(time * 1e9)
                    node.send(header=node.header(0))
                    wait_for(lambda at=(computed, told): len(predictor.seen) > at[0] or node.statuses[at[1]:])
            status = wait_for(lambda told=told: node.statuses[told:])[0]
            assert status.outcome == FrameStatus.PUBLISHED, (run, number, status.message)
    assert node.outcomes() == {"PUBLISHED": 12}
    assert node.node.health().clock_jumps >= 2


def test_row_15_a_simulated_clock_that_jumps_flushes_clouds_transforms_and_the_order_of_stamps(framed):
    predictor = FakePredictor()
    node, frames = framed(predictor=predictor, use_sim_time=True)

    def at(seconds):
        node.stamp = round(seconds * 1e9)
        return node.header(0)

    frames.tick(1000.0)
    frames.send("base", "lidar", 999_900_000_000)
    assert node.send_and_wait(header=at(999.9)).outcome == FrameStatus.PUBLISHED, "the first time is no jump"
    for clock, jump, told in ((1000.0, 500.0, "back by 500.000 s"), (500.0, 4100.0, "forward by 3600.000 s")):
        frames.send("base", "lidar", round((clock - 0.01) * 1e9))
        computed, told_of, predictor.delay = len(predictor.seen), len(node.statuses), 0.5
        node.send(header=at(clock - 0.01))
        wait_for(lambda computed=computed: len(predictor.seen) > computed)
        frames.tick(jump)
        flushed = wait_for(lambda told_of=told_of: node.statuses[told_of:])[0]
        assert (flushed.outcome, flushed.code) == (FrameStatus.FLUSHED, "CLOCK_JUMP") and told in flushed.message
        predictor.delay = 0.0
        assert node.send_and_wait(header=at(jump - 0.1)).code == "UNKNOWN_FRAME", "nothing old is used"
        frames.send("base", "lidar", round((jump - 0.05) * 1e9))
        assert node.send_and_wait(header=at(jump - 0.05)).outcome == FrameStatus.PUBLISHED
    assert next(v.value for v in node.condition("frames").values if v.key == "clock jumps") == "2"
    final = node.statuses[-1]
    assert final.frames_received == sum(final.frames_by_outcome) and final.frames_by_outcome[0] == 0


def test_row_15_stamps_that_start_again_flush_the_transforms_too(framed):
    node, frames = framed()
    frames.send("base", "lidar", node.stamp + 100_000_000)
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
    node.stamp -= 5_000_000_000
    assert node.send_and_wait().code == "UNKNOWN_FRAME"
    assert node.condition("frames", "The stamps on /points jumped back by 4.900 s").level == b"\x01"
    frames.send("base", "lidar", node.stamp + 100_000_000)
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED


def test_row_15_without_a_clock_message_the_diagnostics_name_the_topic_and_clouds_are_still_computed(framed):
    node, frames = framed(use_sim_time=True)
    frames.send("base", "lidar")
    assert "/clock" in node.condition("input", "/clock").message
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED


class SystemClock:
    """A clock of the system that somebody sets, as far as ``ClockWatch`` looks at it."""

    ros_time_is_active = False

    def __init__(self):
        self.seconds = 1e9

    def now(self):
        return type("Time", (), {"nanoseconds": round(self.seconds * 1e9)})

    def create_jump_callback(self, threshold, pre_callback, post_callback):
        return type("Handle", (), {"unregister": lambda handle: None})()


@pytest.mark.parametrize(("step", "told"), [
    (3600, "forward by 3600.000 s"), (-2, "back by 2.000 s"), (-0.5, ""), (5, ""),
])
def test_row_15_a_system_clock_that_is_set_is_noticed_against_the_time_that_passes(step, told):
    clock, steady, sentences = SystemClock(), [50.0], []
    watch = ClockWatch(clock, lambda sentence, now: sentences.append((sentence, now)), lambda: steady[0])
    for _ in range(3):
        clock.seconds, steady[0] = clock.seconds + 100, steady[0] + 100
        watch.check()
    assert not sentences, "time that passes is no jump"
    clock.seconds, steady[0] = clock.seconds + 1 + step, steady[0] + 1
    watch.check()
    watch.check()
    assert len(sentences) == bool(told)
    assert not told or (told in sentences[0][0] and sentences[0][1] == round(clock.seconds * 1e9))
