"""The buffers of transforms, the own one and tf2's where it is there, against SciPy and chains multiplied by hand."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from pasco_core.errors import TransformError
from pasco_core.geometry.transform_tree import TransformTree

SECOND = 1_000_000_000
STILL = (0.0, 0.0, 0.0, 1.0)


@pytest.fixture(params=["own", "tf2_ros"])
def new(request):
    """Makes a buffer; its argument is the window in seconds."""
    if request.param == "own":
        return TransformTree
    pytest.importorskip("tf2_ros", reason="tf2_ros is not there: it comes with a ROS installation")
    from pasco_ros.frames.tf2_buffer import Tf2Buffer

    return Tf2Buffer


def matrix(translation, quaternion):
    """By SciPy alone."""
    result = np.eye(4)
    result[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    result[:3, 3] = translation
    return result


class RandomTree:
    """Frames in a random tree, each with a random walk of samples, and what they should be at a time."""

    def __init__(self, seed: int, n_frames: int = 7):
        random = np.random.default_rng(seed)
        self.parents = {f"f{i}": f"f{random.integers(i)}" for i in range(1, n_frames)}
        self.static = {child: bool(random.random() < 0.3) for child in self.parents}
        self.samples = {}
        for child in self.parents:
            n = 1 if self.static[child] else 60
            times = np.sort(random.choice(np.arange(1, 90), n, replace=False)) * SECOND // 10
            turns = Rotation.random(n, rng=random).as_quat()
            self.samples[child] = (times, random.normal(0, 5, (n, 3)), turns)

    def filled(self, tree):
        rows = [(t, child, move, turn) for child, sample in self.samples.items() for t, move, turn in zip(*sample)]
        for time, child, move, turn in sorted(rows, key=lambda row: row[0]):
            assert tree.insert(self.parents[child], child, int(time), move, turn, self.static[child])
        return tree

    def up(self, frame):
        way = [frame]
        while way[-1] in self.parents:
            way.append(self.parents[way[-1]])
        return way

    def to_root(self, frame, time):
        """None where a part of the way to the root is not known."""
        result = np.eye(4)
        for child in self.up(frame)[:-1]:
            step = self.step(child, time)
            if step is None:
                return None
            result = step @ result
        return result

    def step(self, child, time):
        times, moves, turns = self.samples[child]
        if self.static[child]:
            return matrix(moves[0], turns[0])
        if not times[0] <= time <= times[-1]:
            return None
        at = (time - times[0]) / SECOND
        knots = (times - times[0]) / SECOND
        turn = Slerp(knots, Rotation.from_quat(turns))([at])[0].as_quat()
        return matrix([np.interp(at, knots, moves[:, axis]) for axis in range(3)], turn)

    def span(self, target, source):
        """Oldest and newest common time of the way between two frames."""
        up, down = self.up(source), self.up(target)
        way = [f for f in {*up, *down} if (f in up) != (f in down) and not self.static[f]]
        if not way:
            return -math.inf, math.inf
        return max(self.samples[f][0][0] for f in way), min(self.samples[f][0][-1] for f in way)


@pytest.mark.parametrize("seed", range(3))
def test_every_pair_of_frames_of_a_tree_is_what_the_chain_through_the_root_gives(new, seed):
    reference = RandomTree(seed)
    tree, known = reference.filled(new()), 0
    for time in np.random.default_rng(seed).integers(0, 9 * SECOND, 12).tolist():
        for source in tree.frames():
            for target in tree.frames():
                oldest, newest = reference.span(target, source)
                if not oldest <= time <= newest:
                    with pytest.raises(TransformError) as caught:
                        tree.lookup(target, source, time)
                    assert caught.value.reason == ("EXTRAPOLATION_FUTURE" if time > newest else "EXTRAPOLATION_PAST")
                    continue
                to_source, to_target = reference.to_root(source, time), reference.to_root(target, time)
                if to_source is not None and to_target is not None:
                    expected = np.linalg.inv(to_target) @ to_source
                    np.testing.assert_allclose(tree.lookup(target, source, time), expected, atol=1e-9)
                    known += 1
    assert known > 50


@given(st.integers(0, 10_000), st.integers(0, 9 * SECOND))
@settings(max_examples=30, deadline=None)
def test_a_transform_and_its_inverse_and_any_way_round_are_one(seed, time):
    tree = RandomTree(seed, 4).filled(TransformTree())
    a, b, c = "f0", "f1", "f3"
    try:
        there, back, around = tree.lookup(a, b, time), tree.lookup(b, a, time), tree.lookup(a, c, time)
        onward = tree.lookup(c, b, time)
    except TransformError:
        return
    np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(around @ onward, there, atol=1e-9)
    np.testing.assert_allclose(there[:3, :3] @ there[:3, :3].T, np.eye(3), atol=1e-9)


def test_a_frame_in_itself_is_where_it_is_at_any_time(new):
    np.testing.assert_array_equal(new().lookup("lidar", "/lidar", 5), np.eye(4))


def moving(tree, *times, parent="base", child="lidar"):
    """A frame that is at x = seconds."""
    for time in times:
        tree.insert(parent, child, round(time * SECOND), (time, 0, 0), STILL)
    return tree


def test_a_moving_frame_with_one_sample_is_known_at_its_time_only(new):
    tree = moving(new(), 3.0)
    assert tree.lookup("base", "lidar", 3 * SECOND)[0, 3] == 3
    for time, reason in ((3 * SECOND + 1, "EXTRAPOLATION_FUTURE"), (3 * SECOND - 1, "EXTRAPOLATION_PAST")):
        with pytest.raises(TransformError) as caught:
            tree.lookup("base", "lidar", time)
        assert caught.value.reason == reason


def test_an_extrapolation_names_both_frames_the_newest_common_time_and_what_ends_there(new):
    tree = moving(new(), 1.0, 2.0)
    moving(tree, 1.0, 5.0, parent="map", child="base")
    with pytest.raises(TransformError, match=r"from 'lidar' to 'map' at 2\.500000000 s .* 0\.500 s later than the "
                                             r"newest common time, 2\.000000000 s \(the end of 'lidar' in 'base'\)"):
        tree.lookup("map", "lidar", 2_500_000_000)
    with pytest.raises(TransformError, match=r"from 'lidar' to 'map' at 0\.750000000 s to be known.* 1\.000000"):
        tree.lookup("map", "lidar", 750_000_000)
    assert tree.newest_common("map", "lidar") == 2 * SECOND
    np.testing.assert_allclose(tree.lookup("map", "lidar"), tree.lookup("map", "lidar", 2 * SECOND))


def test_parts_of_a_way_that_were_never_known_together_have_no_newest_common_time(new):
    tree = moving(new(), 1.0, 2.0)
    moving(tree, 3.0, 4.0, parent="map", child="base")
    for call in (tree.newest_common, tree.lookup):
        with pytest.raises(TransformError, match=r"at 2\.000000000 s to be known.* 3\.000000") as caught:
            call("map", "lidar")
        assert caught.value.reason == "EXTRAPOLATION_PAST"


def test_two_trees_are_named_with_their_roots_and_an_unknown_frame_with_the_known_ones(new):
    tree = moving(new(), 1.0)
    moving(tree, 1.0, parent="odom", child="wheel")
    with pytest.raises(TransformError, match="'lidar' hangs below 'base' and 'wheel' below 'odom'") as caught:
        tree.lookup("wheel", "lidar", SECOND)
    assert caught.value.reason == "NOT_CONNECTED"
    with pytest.raises(TransformError, match="no frame 'lidr'; known: base, lidar, odom, wheel") as caught:
        tree.lookup("base", "lidr", SECOND)
    assert caught.value.reason == "UNKNOWN_FRAME"
    with pytest.raises(TransformError, match="known: none"):
        new().lookup("base", "lidar", SECOND)


@pytest.mark.parametrize("quaternion", [
    (math.nan, 0, 0, 1), (0, 0, 0, 0), (0, 0, 0, 1.1), (math.inf, 0, 0, 1), (0.5, 0.5, 0.5, 0.4),
])
def test_row_14_a_quaternion_that_is_not_of_length_1_is_refused_and_nothing_changes(new, quaternion):
    tree = moving(new(), 1.0)
    with pytest.raises(TransformError, match="to have a quaternion") as caught:
        tree.insert("base", "lidar", 2 * SECOND, (0, 0, 0), quaternion)
    assert caught.value.reason == "INVALID" and tree.newest_common("base", "lidar") == SECOND


def test_a_quaternion_of_nearly_length_1_still_gives_a_rotation(new):
    tree = new()
    tree.insert("base", "lidar", 0, (0, 0, 0), (0, 0, 0.7085, 0.7085), static=True)
    turn = tree.lookup("base", "lidar")[:3, :3]
    np.testing.assert_allclose(turn, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)


@pytest.mark.parametrize(("parent", "child", "move", "text"), [
    ("base", "base", (0, 0, 0), "two frames"), ("", "a", (0, 0, 0), "two frames"), ("a", "/", (0, 0, 0), "two frames"),
    ("base", "lidar", (0, math.nan, 0), "finite translation, got \\(0, nan, 0\\)"),
])
def test_transforms_without_two_frames_or_with_a_place_that_is_no_number_are_refused(new, parent, child, move, text):
    with pytest.raises(TransformError, match=text):
        new().insert(parent, child, 0, move, STILL)


def test_a_ring_of_frames_is_refused(new):
    tree = moving(new(), 1.0)
    moving(tree, 1.0, parent="lidar", child="camera")
    with pytest.raises(TransformError, match="form a tree, got 'base'") as caught:
        tree.insert("camera", "base", SECOND, (0, 0, 0), STILL)
    assert caught.value.reason == "LOOP" and tree.link_of("base") is None


def test_a_frame_that_gets_another_parent_leaves_its_past_behind(new):
    tree = moving(new(), 1.0, 2.0)
    moving(tree, 3.0, 4.0, parent="rack")
    assert tree.link_of("lidar").parent == "rack"
    assert tree.lookup("rack", "lidar", round(3.5 * SECOND))[0, 3] == pytest.approx(3.5)
    with pytest.raises(TransformError) as caught:
        tree.lookup("rack", "lidar", 2 * SECOND)
    assert caught.value.reason == "EXTRAPOLATION_PAST"
    assert not tree.insert("base", "lidar", round(3.5 * SECOND), (0, 0, 0), STILL), "an old sample brings nothing back"
    assert tree.link_of("lidar").parent == "rack"


def test_samples_may_come_out_of_order_and_the_first_of_a_time_counts(new):
    tree = moving(new(), 1.0, 3.0)
    assert tree.insert("base", "lidar", 2 * SECOND, (10, 0, 0), STILL)
    assert not tree.insert("base", "lidar", 3 * SECOND, (99, 0, 0), STILL)
    assert tree.lookup("base", "lidar", round(1.5 * SECOND))[0, 3] == pytest.approx(5.5)
    assert tree.lookup("base", "lidar", round(2.5 * SECOND))[0, 3] == pytest.approx(6.5)


def test_samples_older_than_the_window_are_neither_kept_nor_taken_in(new):
    tree = moving(new(10.0), 0.0, 5.0, 12.0, 12.1)
    with pytest.raises(TransformError) as caught:
        tree.lookup("base", "lidar", SECOND)
    assert caught.value.reason == "EXTRAPOLATION_PAST"
    assert tree.lookup("base", "lidar", 6 * SECOND)[0, 3] == pytest.approx(6)
    gap = moving(new(10.0), 1.0, 2.0, 12.1)
    with pytest.raises(TransformError) as caught:
        gap.lookup("base", "lidar", 12 * SECOND)
    assert caught.value.reason == "EXTRAPOLATION_PAST", "nothing is interpolated over more than the window"
    short = moving(new(0.5), 1.8, 2.0)
    assert not short.insert("base", "lidar", round(1.4 * SECOND), (0, 0, 0), STILL)


def test_a_frame_keeps_as_many_samples_as_the_own_buffer_has_room_for():
    small = moving(TransformTree(capacity=10), *np.arange(0, 5, 0.1))
    with pytest.raises(TransformError, match="oldest common time, 4\\.0"):
        small.lookup("base", "lidar", 3_900_000_000)
    assert small.lookup("base", "lidar", 4_500_000_000)[0, 3] == pytest.approx(4.5)


@pytest.mark.parametrize("time", [-1, 2**31 * SECOND])
def test_a_stamp_that_ros_time_does_not_have_is_refused(new, time):
    with pytest.raises(TransformError, match="to have a stamp from 0 to 2147483648 s") as caught:
        new().insert("base", "lidar", time, (0, 0, 0), STILL)
    assert caught.value.reason == "INVALID"


def test_a_frame_whose_stamps_jump_back_leaves_its_past_behind_and_the_others_stay(new):
    tree = moving(new(), 1.0, 2.0, 3.0, 4.0)
    moving(tree, 3.0, 4.0, parent="map", child="base")
    assert tree.insert("base", "lidar", round(3.1 * SECOND), (3.1, 0, 0), STILL)
    assert tree.lookup("base", "lidar", SECOND)[0, 3] == 1, "less than a second late is no jump"
    assert tree.insert("base", "lidar", round(2.9 * SECOND), (-5, 0, 0), STILL)
    assert tree.lookup("base", "lidar", round(2.9 * SECOND))[0, 3] == -5
    for time, reason in ((2, "EXTRAPOLATION_PAST"), (4, "EXTRAPOLATION_FUTURE")):
        with pytest.raises(TransformError) as caught:
            tree.lookup("base", "lidar", time * SECOND)
        assert caught.value.reason == reason, "nothing between the old times and the new one"
    assert tree.lookup("map", "base", 4 * SECOND)[0, 3] == 4


def test_a_frame_with_a_stamp_from_far_ahead_recovers_with_the_next_sample(new):
    tree = moving(new(), 1.0, 3600.0, 1.1, 1.2)
    assert tree.lookup("base", "lidar", round(1.15 * SECOND))[0, 3] == pytest.approx(1.15)


def test_after_a_jump_what_came_of_the_new_time_stays_and_all_of_before_goes(new):
    tree = new()
    for child, times in (("lidar", (3.0, 4.0, 0.1, 0.2)), ("camera", (3.0, 4.0))):
        moving(tree, *times, child=child)
    tree.insert("base", "mast", 0, (0, 0, 2), STILL, static=True)
    tree.flush(round(0.15 * SECOND))
    assert tree.frames() == ["base", "lidar", "mast"]
    assert tree.lookup("base", "lidar", round(0.15 * SECOND))[0, 3] == pytest.approx(0.15)
    assert tree.lookup("mast", "lidar")[2, 3] == -2
    moving(tree, 0.3, 0.4, child="camera")
    with pytest.raises(TransformError) as caught:
        tree.lookup("base", "camera", 3 * SECOND // 10 - 1)
    assert caught.value.reason == "EXTRAPOLATION_PAST", "nothing of before the jump came back"
    assert tree.lookup("base", "camera", round(0.35 * SECOND))[0, 3] == pytest.approx(0.35)
    tree.flush(3600 * SECOND)
    assert tree.frames() == ["base", "mast"]


def test_a_frame_may_change_between_static_and_moving(new):
    tree = moving(new(), 1.0, 2.0)
    tree.insert("base", "lidar", 9 * SECOND, (7, 0, 0), STILL, static=True)
    assert tree.lookup("base", "lidar", SECOND)[0, 3] == 7
    moving(tree, 5.0, 6.0)
    assert tree.lookup("base", "lidar", round(5.5 * SECOND))[0, 3] == pytest.approx(5.5)
    with pytest.raises(TransformError) as caught:
        tree.lookup("base", "lidar", SECOND)
    assert caught.value.reason == "EXTRAPOLATION_PAST"


def test_invented_frames_cannot_fill_the_memory(new):
    tree = new()
    for number in range(999):
        tree.insert("base", f"f{number}", 0, (0, 0, 0), STILL)
    with pytest.raises(TransformError, match="at most 1000 frames") as caught:
        tree.insert("base", "one more", 0, (0, 0, 0), STILL)
    assert caught.value.reason == "FULL" and tree.insert("base", "f7", 1, (0, 0, 0), STILL)


def test_a_static_transform_holds_at_any_time_and_outlives_a_flush(new):
    tree = new()
    tree.insert("base", "lidar", 5 * SECOND, (0, 0, 2), STILL, static=True)
    moving(tree, 1.0, 2.0, parent="map", child="base")
    assert tree.lookup("base", "lidar", 0)[2, 3] == 2 and tree.newest_common("base", "lidar") is None
    tree.flush()
    assert tree.frames() == ["base", "lidar"] and tree.lookup("base", "lidar", 99 * SECOND)[2, 3] == 2
    with pytest.raises(TransformError) as caught:
        tree.lookup("map", "lidar", SECOND)
    assert caught.value.reason == "UNKNOWN_FRAME"
    moving(tree, 0.5, parent="map", child="base")
    assert tree.lookup("map", "lidar", SECOND // 2)[0, 3] == 0.5, "an earlier time is taken in again"


def test_threads_that_write_and_read_at_once_see_whole_transforms(new):
    tree, failures = moving(new(), 0.0), []

    def write():
        for i in range(1, 2000):
            tree.insert("base", "lidar", i * SECOND // 100, (i / 100, 0, 0), STILL)

    def read():
        for _ in range(300):
            at = tree.newest_common("base", "lidar")
            if abs(tree.lookup("base", "lidar", at)[0, 3] - at / SECOND) > 1e-9:
                failures.append(at)

    threads = [threading.Thread(target=each) for each in (write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not failures


def test_the_transforms_of_a_recorded_os1_are_those_of_its_own_metadata(shared_data):
    pytest.importorskip("rosbags", reason="rosbags is not installed: pip install 'pasco-ros[bag]'")
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import Stores, get_typestore

    tree = TransformTree()
    folder = shared_data / "rosbag2_os1" / "ros2_mcap"
    with AnyReader([folder], default_typestore=get_typestore(Stores.ROS2_FOXY)) as reader:
        wanted = [c for c in reader.connections if c.topic == "/tf_static"]
        for connection, _, raw in reader.messages(wanted):
            for sent in reader.deserialize(raw, connection.msgtype).transforms:
                move, turn = sent.transform.translation, sent.transform.rotation
                stamp = sent.header.stamp.sec * SECOND + sent.header.stamp.nanosec
                tree.insert(sent.header.frame_id, sent.child_frame_id, stamp, (move.x, move.y, move.z),
                            (turn.x, turn.y, turn.z, turn.w), static=True)
    # Extrinsics of the OS1 by its manual, in metres.
    lidar, imu = matrix((0, 0, 0.03618), (0, 0, 1, 0)), matrix((0.006253, -0.011775, 0.007645), STILL)
    np.testing.assert_allclose(tree.lookup("os1_sensor", "os1_lidar"), lidar, atol=1e-9)
    np.testing.assert_allclose(tree.lookup("os1_lidar", "os1_imu"), np.linalg.inv(lidar) @ imu, atol=1e-9)
