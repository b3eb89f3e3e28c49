"""The fault catalogue through the whole node: each fault has its verdict, and the next good cloud is published."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")

from node_bench import STREET, wait_for
from pasco.msg import FrameStatus
from ros_stand_in import FakePredictor
from sensor_msgs.msg import PointField
from std_msgs.msg import Header

from pasco_core.data.voxel_message import layer_values
from pasco_core.stream.model import Model
from pasco_ros.outputs.messages import cloud_message

NAN = float("nan")


def fields_of(*names: str, datatype: int = PointField.FLOAT32) -> list[PointField]:
    return [PointField(name=n, offset=4 * i, datatype=datatype, count=1) for i, n in enumerate(names)]


MALFORMED = {
    "row 4, y missing": ({"fields": fields_of("x", "q", "z", "intensity")}, "FIELD_MISSING"),
    "row 4, int32 x": ({"fields": fields_of("x", "y", "z", datatype=PointField.INT32)}, "FIELD_MISSING"),
    "row 4, x twice": ({"fields": fields_of("x", "y", "z", "x")}, "FIELD_MISSING"),
    "row 4, unnamed field": ({"fields": fields_of("x", "y", "z", "")}, "FIELD_MISSING"),
    "row 7, row_step too short": ({"row_step": 5}, "LAYOUT"),
    "row 8, data too short": ({"data": bytes(100)}, "LAYOUT"),
    "row 8, width * height beyond 2^32": ({"width": 2**31, "height": 2**31}, "LAYOUT"),
    "row 8, point_step 0": ({"point_step": 0, "width": 2**31, "row_step": 0}, "LAYOUT"),
    "row 8, count 2^31": (
        {"fields": [*fields_of("x", "y", "z"), PointField(name="t", offset=0, datatype=2, count=2**31)]}, "LAYOUT"),
    "row 12, empty frame_id": ({"header": Header(frame_id="")}, "FRAME_ID"),
    "row 12, stamp 0": ({"header": Header(frame_id="lidar")}, "STAMP"),
}


def test_rows_4_to_12_every_malformed_cloud_is_rejected_by_name_and_the_node_goes_on(bench):
    node = bench(topics=("segments",), parameters={"diagnostics_period": 0.2}).start()
    for name, (changes, code) in MALFORMED.items():
        status = node.send_and_wait(**changes)
        assert (status.outcome, status.code) == (FrameStatus.REJECTED, code), name
        assert "/points" in status.message and "got" in status.message, name
    future = node.header()
    future.stamp.sec += 200
    assert node.send_and_wait(header=future).code == "STAMP_FUTURE"
    broken = node.header()
    broken.stamp.nanosec = 2_000_000_000
    assert node.send_and_wait(header=broken).code == "STAMP"
    assert "STAMP" in node.condition("inference", "STAMP").message
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
    assert node.outcomes() == {"REJECTED": len(MALFORMED) + 2, "PUBLISHED": 1}
    assert node.statuses[-1].frames_received == len(MALFORMED) + 3


@pytest.mark.parametrize("points", [np.zeros((0, 4)), np.full((7, 4), NAN), np.zeros((9, 4))])
def test_rows_1_and_2_a_cloud_without_a_usable_point_becomes_an_all_unknown_grid(bench, points):
    node = bench(topics=("voxels", "occupancy_grid")).start()
    status = node.send_and_wait(points)
    assert (status.outcome, status.code) == (FrameStatus.EMPTY, "EMPTY_UNKNOWN") and "/points" in status.message
    voxels = wait_for(lambda: node.received["voxels"])[0]
    assert voxels.header == status.header
    assert all(layer_values(voxels, layer.name)[1].all() for layer in voxels.layers) and len(voxels.layers) == 4
    assert set(wait_for(lambda: node.received["occupancy_grid"])[0].data) == {-1}


def test_row_1_an_empty_cloud_can_be_skipped_instead(bench):
    node = bench(topics=("voxels",), parameters={"empty_cloud": "skip"}).start()
    for points in (np.zeros((0, 4)), np.full((7, 4), NAN)):
        status = node.send_and_wait(points)
        assert (status.outcome, status.code) == (FrameStatus.EMPTY, "EMPTY")
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
    wait_for(lambda: node.received["voxels"])
    assert len(node.received["voxels"]) == 1


def test_rows_2_and_3_nan_points_are_masked_although_the_flag_says_dense(bench):
    points = np.concatenate([STREET, np.full((20, 4), NAN, np.float32), [[1e30, 0, 0, 0], [np.inf, 0, 0, 0]]])
    node = bench(topics=("segments",)).start()
    status = node.send_and_wait(points, is_dense=True)
    assert status.outcome == FrameStatus.PUBLISHED
    assert (status.points_in, status.points_in_range) == (len(points), len(STREET))
    assert node.predictor.seen[-1] == len(STREET)


def test_rows_5_to_7_unusual_but_sound_clouds_are_published(bench):
    node = bench(topics=("segments",)).start()
    big = cloud_message(STREET, node.header())
    big.data, big.is_bigendian = STREET.astype(">f4").tobytes(), True
    assert node.send_and_wait(data=big.data, is_bigendian=True).points_in_range == len(STREET)
    assert node.send_and_wait(row_step=0).points_in_range == len(STREET)
    padded = b"".join(row.tobytes() + bytes(8) for row in STREET.reshape(20, -1))
    changes = {"height": 20, "width": 4, "row_step": 72, "data": padded}
    assert node.send_and_wait(**changes).points_in_range == len(STREET)
    assert node.send_and_wait(fields=fields_of("x", "y", "z", "reflectivity")).points_in_range == len(STREET)
    assert node.send_and_wait(fields=fields_of("x", "y", "z")).points_in_range == len(STREET)
    assert node.outcomes() == {"PUBLISHED": 5}


def test_row_9_a_cloud_beyond_capacity_is_thinned(bench):
    node = bench(topics=("segments",), parameters={"max_points": 50}).start()
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
    assert node.predictor.seen[-1] == 50


def test_row_10_clouds_outside_the_grid_of_one_voxel_and_of_one_place_are_valid_scenes(bench):
    node = bench(topics=("voxels",)).start()
    outside = node.send_and_wait(np.full((30, 4), 500.0))
    assert (outside.outcome, outside.points_in_range, outside.occupied_voxels) == (FrameStatus.PUBLISHED, 0, 0)
    assert node.send_and_wait(np.array([[5.0, 0.0, 0.0, 0.5]])).occupied_voxels == 1
    assert node.send_and_wait(np.tile([[5.0, 0.0, 0.0, 0.5]], (500, 1))).occupied_voxels == 1


def test_row_16_duplicates_and_older_stamps_are_counted_and_the_newest_is_kept(bench):
    node = bench(topics=("segments",)).start()
    first, second = node.header(), node.header()
    codes = [node.send_and_wait(header=h).code for h in (first, second, second, first)]
    assert codes == ["OK", "OK", "DUPLICATE", "OUT_OF_ORDER"]
    assert node.outcomes() == {"PUBLISHED": 2, "DROPPED_DUPLICATE": 2}


def test_row_15_a_recording_that_starts_again_is_followed(bench):
    node = bench(topics=("segments",)).start()
    start = node.stamp
    node.send_and_wait(header=node.header(20.0 - 20.5))
    node.stamp = start - 60_000_000_000
    assert [node.send_and_wait().code for _ in range(2)] == ["OK", "OK"]


def test_row_15_a_simulated_clock_that_never_comes_is_named(bench):
    node = bench(topics=("segments",), parameters={"use_sim_time": True, "diagnostics_period": 0.1}).start()
    assert "/clock" in node.condition("input", "/clock").message


def test_row_18_of_a_burst_the_newest_is_computed_and_the_counters_sum_to_the_inputs(bench):
    node = bench(topics=("segments",), predictor=FakePredictor(delay=0.15)).start()
    for _ in range(60):
        node.send()
        time.sleep(0.01)
    last = node.send()
    wait_for(lambda: node.statuses and node.statuses[-1].frames_by_outcome[0] == 0
             and node.statuses[-1].header.stamp == last.header.stamp)
    final = node.statuses[-1]
    assert final.outcome == FrameStatus.PUBLISHED
    assert final.frames_received == sum(final.frames_by_outcome) == len(node.statuses)
    assert node.outcomes().keys() == {"PUBLISHED", "DROPPED_OVERLOAD"} and node.outcomes()["PUBLISHED"] < 15


def test_row_18_a_cloud_older_than_the_limit_is_dropped(bench):
    node = bench(topics=("segments",), parameters={"max_age": 0.5}).start()
    node.stamp = time.time_ns() - 2_000_000_000
    status = node.send_and_wait()
    assert (status.outcome, status.code) == (FrameStatus.DROPPED_STALE, "STALE") and "0.5 s" in status.message


def test_row_18_a_result_that_came_too_late_is_dropped(bench):
    predictor = FakePredictor()
    node = bench(topics=("segments",), parameters={"max_age": 1.0}, predictor=predictor).start()
    node.stamp = time.time_ns()
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
    predictor.delay = 1.2
    node.stamp = time.time_ns()
    assert node.send_and_wait().outcome == FrameStatus.DROPPED_STALE
    assert len(node.received["segments"]) == 1


def test_row_19_when_the_input_stops_a_timer_reports_it_and_nothing_old_is_published(bench):
    node = bench(topics=("voxels",), parameters={"input_timeout": 0.4, "diagnostics_period": 0.1}).start()
    assert "1 publisher" in node.condition("input", "No cloud on /points").message
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
    wait_for(lambda: node.received["voxels"])
    assert node.condition("input", "No cloud on /points for").level == b"\x02"
    assert len(node.received["voxels"]) == 1


def test_row_27_values_that_are_not_finite_are_never_published(bench):
    predictor = FakePredictor()
    node = bench(topics=("voxels",), predictor=predictor, parameters={"max_failures": 100}).start()
    predictor.fault = "nan"
    status = node.send_and_wait()
    assert status.outcome == FrameStatus.INFERENCE_FAILED and "finite" in status.message
    predictor.fault = ""
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
    wait_for(lambda: node.received["voxels"])
    assert len(node.received["voxels"]) == 1


def test_row_28_failures_in_a_row_pause_the_node_and_a_success_ends_it(bench):
    predictor = FakePredictor()
    node = bench(topics=("segments",), predictor=predictor,
                 parameters={"max_failures": 2, "diagnostics_period": 0.1, "input_timeout": 0.5}).start()
    predictor.fault = "raise"
    first = node.send_and_wait()
    assert (first.outcome, first.code) == (FrameStatus.INFERENCE_FAILED, "INFERENCE_FAILED")
    assert "the network is unwell" in first.message
    node.send_and_wait()
    computed = len(predictor.seen)
    paused = node.send_and_wait()
    assert (paused.outcome, paused.code) == (FrameStatus.INFERENCE_FAILED, "PAUSED")
    assert len(predictor.seen) == computed
    assert node.condition("inference", "2 computations failed in a row").level == b"\x02"
    predictor.fault = ""
    wait_for(lambda: node.send_and_wait().outcome == FrameStatus.PUBLISHED)
    assert node.condition("inference", "published").level == b"\x00"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_row_28_a_computing_thread_that_died_is_started_again(bench):
    def die(points):
        node.predictor_calls = getattr(node, "predictor_calls", 0) + 1
        if node.predictor_calls == 1:
            raise SystemExit
        return FakePredictor()(points)

    node = bench(topics=("segments",), model_loader=lambda config: Model(die, "stand-in"),
                 parameters={"diagnostics_period": 0.1}).start()
    status = node.send_and_wait()
    assert (status.outcome, status.code) == (FrameStatus.INFERENCE_FAILED, "WORKER_DIED")
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
