"""The buffer of transforms against SciPy and chains multiplied by hand, and against tf2 itself where it is there."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from pasco_core.errors import TransformError
from pasco_core.geometry.poses import moved_points, pose_matrix, quaternion_of, rigid_matrix, slerp
from pasco_core.geometry.transform_tree import TransformTree

SECOND = 1_000_000_000
STILL = (0.0, 0.0, 0.0, 1.0)


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

    def filled(self) -> TransformTree:
        tree = TransformTree()
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
def test_every_pair_of_frames_of_a_tree_is_what_the_chain_through_the_root_gives(seed):
    reference = RandomTree(seed)
    tree, known = reference.filled(), 0
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
    tree = RandomTree(seed, 4).filled()
    a, b, c = "f0", "f1", "f3"
    try:
        there, back, around = tree.lookup(a, b, time), tree.lookup(b, a, time), tree.lookup(a, c, time)
        onward = tree.lookup(c, b, time)
    except TransformError:
        return
    np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(around @ onward, there, atol=1e-9)
    np.testing.assert_allclose(there[:3, :3] @ there[:3, :3].T, np.eye(3), atol=1e-9)


def test_a_frame_in_itself_is_where_it_is_at_any_time():
    np.testing.assert_array_equal(TransformTree().lookup("lidar", "/lidar", 5), np.eye(4))


def moving(*times, parent="base", child="lidar", tree=None):
    """A frame that is at x = seconds."""
    tree = tree or TransformTree()
    for time in times:
        tree.insert(parent, child, round(time * SECOND), (time, 0, 0), STILL)
    return tree


def test_a_moving_frame_with_one_sample_is_known_at_its_time_only():
    tree = moving(3.0)
    assert tree.lookup("base", "lidar", 3 * SECOND)[0, 3] == 3
    for time, reason in ((3 * SECOND + 1, "EXTRAPOLATION_FUTURE"), (3 * SECOND - 1, "EXTRAPOLATION_PAST")):
        with pytest.raises(TransformError) as caught:
            tree.lookup("base", "lidar", time)
        assert caught.value.reason == reason


def test_an_extrapolation_names_both_frames_the_newest_common_time_and_what_ends_there():
    tree = moving(1.0, 2.0)
    moving(1.0, 5.0, parent="map", child="base", tree=tree)
    with pytest.raises(TransformError, match=r"from 'lidar' to 'map' at 2\.500000000 s .* 0\.500 s later than the "
                                             r"newest common time, 2\.000000000 s \(the end of 'lidar' in 'base'\)"):
        tree.lookup("map", "lidar", 2_500_000_000)
    with pytest.raises(TransformError, match=r"0\.250 s before the oldest common time, 1\.000000000 s"):
        tree.lookup("map", "lidar", 750_000_000)
    assert tree.newest_common("map", "lidar") == 2 * SECOND
    np.testing.assert_allclose(tree.lookup("map", "lidar"), tree.lookup("map", "lidar", 2 * SECOND))


def test_parts_of_a_way_that_were_never_known_together_have_no_newest_common_time():
    tree = moving(1.0, 2.0)
    moving(3.0, 4.0, parent="map", child="base", tree=tree)
    for call in (tree.newest_common, tree.lookup):
        with pytest.raises(TransformError, match="oldest common time"):
            call("map", "lidar")


def test_two_trees_are_named_with_their_roots_and_an_unknown_frame_with_the_known_ones():
    tree = moving(1.0)
    moving(1.0, parent="odom", child="wheel", tree=tree)
    with pytest.raises(TransformError, match="'lidar' hangs below 'base' and 'wheel' below 'odom'") as caught:
        tree.lookup("wheel", "lidar", SECOND)
    assert caught.value.reason == "NOT_CONNECTED"
    with pytest.raises(TransformError, match="no frame 'lidr'; known: base, lidar, odom, wheel") as caught:
        tree.lookup("base", "lidr", SECOND)
    assert caught.value.reason == "UNKNOWN_FRAME"
    with pytest.raises(TransformError, match="known: none"):
        TransformTree().lookup("base", "lidar", SECOND)


@pytest.mark.parametrize("quaternion", [
    (math.nan, 0, 0, 1), (0, 0, 0, 0), (0, 0, 0, 1.1), (math.inf, 0, 0, 1), (0.5, 0.5, 0.5, 0.4),
])
def test_row_14_a_quaternion_that_is_not_of_length_1_is_refused_and_nothing_changes(quaternion):
    tree = moving(1.0)
    with pytest.raises(TransformError, match="to have a quaternion") as caught:
        tree.insert("base", "lidar", 2 * SECOND, (0, 0, 0), quaternion)
    assert caught.value.reason == "INVALID" and tree.newest_common("base", "lidar") == SECOND


def test_a_quaternion_of_nearly_length_1_still_gives_a_rotation():
    tree = TransformTree()
    tree.insert("base", "lidar", 0, (0, 0, 0), (0, 0, 0.7085, 0.7085), static=True)
    turn = tree.lookup("base", "lidar")[:3, :3]
    np.testing.assert_allclose(turn, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-12)


@pytest.mark.parametrize(("parent", "child", "move", "text"), [
    ("base", "base", (0, 0, 0), "two frames"), ("", "a", (0, 0, 0), "two frames"), ("a", "/", (0, 0, 0), "two frames"),
    ("base", "lidar", (0, math.nan, 0), "finite translation, got \\(0, nan, 0\\)"),
])
def test_transforms_without_two_frames_or_with_a_place_that_is_no_number_are_refused(parent, child, move, text):
    with pytest.raises(TransformError, match=text):
        TransformTree().insert(parent, child, 0, move, STILL)


def test_a_ring_of_frames_is_refused():
    tree = moving(1.0)
    moving(1.0, parent="lidar", child="camera", tree=tree)
    with pytest.raises(TransformError, match="form a tree, got 'base'") as caught:
        tree.insert("camera", "base", SECOND, (0, 0, 0), STILL)
    assert caught.value.reason == "LOOP" and tree.parent_of("base") is None


def test_a_frame_that_gets_another_parent_leaves_its_past_behind():
    tree = moving(1.0, 2.0)
    moving(3.0, 4.0, parent="rack", tree=tree)
    assert tree.parent_of("lidar") == "rack"
    assert tree.lookup("rack", "lidar", round(3.5 * SECOND))[0, 3] == pytest.approx(3.5)
    with pytest.raises(TransformError) as caught:
        tree.lookup("rack", "lidar", 2 * SECOND)
    assert caught.value.reason == "EXTRAPOLATION_PAST"
    assert not tree.insert("base", "lidar", 2 * SECOND, (0, 0, 0), STILL), "an old sample does not bring it back"
    assert tree.parent_of("lidar") == "rack"


def test_samples_may_come_out_of_order_and_the_first_of_a_time_counts():
    tree = moving(1.0, 3.0)
    assert tree.insert("base", "lidar", 2 * SECOND, (10, 0, 0), STILL)
    assert not tree.insert("base", "lidar", 2 * SECOND, (99, 0, 0), STILL)
    assert tree.lookup("base", "lidar", round(1.5 * SECOND))[0, 3] == pytest.approx(5.5)


def test_samples_older_than_the_window_and_beyond_the_capacity_are_forgotten():
    tree = moving(0.0, 5.0, 12.0)
    assert not tree.insert("base", "lidar", SECOND, (0, 0, 0), STILL)
    with pytest.raises(TransformError, match="oldest common time, 5\\.0"):
        tree.lookup("base", "lidar", SECOND)
    small = moving(*np.arange(0, 5, 0.1), tree=TransformTree(capacity=10))
    with pytest.raises(TransformError, match="oldest common time, 4\\.0"):
        small.lookup("base", "lidar", 3_900_000_000)
    assert small.lookup("base", "lidar", 4_500_000_000)[0, 3] == pytest.approx(4.5)


def test_invented_frames_cannot_fill_the_memory():
    tree = TransformTree()
    for number in range(999):
        tree.insert("base", f"f{number}", 0, (0, 0, 0), STILL)
    with pytest.raises(TransformError, match="at most 1000 frames") as caught:
        tree.insert("base", "one more", 0, (0, 0, 0), STILL)
    assert caught.value.reason == "FULL" and tree.insert("base", "f7", 1, (0, 0, 0), STILL)


def test_a_static_transform_holds_at_any_time_and_outlives_a_flush():
    tree = TransformTree()
    tree.insert("base", "lidar", 5 * SECOND, (0, 0, 2), STILL, static=True)
    moving(1.0, 2.0, parent="map", child="base", tree=tree)
    assert tree.lookup("base", "lidar", 0)[2, 3] == 2 and tree.newest_common("base", "lidar") is None
    tree.flush()
    assert tree.frames() == ["base", "lidar"] and tree.lookup("base", "lidar", 99 * SECOND)[2, 3] == 2
    with pytest.raises(TransformError) as caught:
        tree.lookup("map", "lidar", SECOND)
    assert caught.value.reason == "UNKNOWN_FRAME"
    moving(0.5, parent="map", child="base", tree=tree)
    assert tree.lookup("map", "lidar", SECOND // 2)[0, 3] == 0.5, "an earlier time is taken in again"


def test_a_moving_sensor_is_brought_from_one_time_to_another_through_a_frame_that_stands_still():
    tree = moving(0.0, 10.0, parent="odom", child="base")
    tree.insert("base", "lidar", 0, (0, 0, 2), STILL, static=True)
    between = tree.lookup_between("base", 6 * SECOND, "lidar", 4 * SECOND, "odom")
    np.testing.assert_allclose(between, matrix((-2, 0, 2), STILL), atol=1e-12)
    with pytest.raises(TransformError):
        tree.lookup_between("base", 11 * SECOND, "lidar", 4 * SECOND, "odom")


def test_threads_that_write_and_read_at_once_see_whole_transforms():
    tree, failures = moving(0.0), []

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


def test_roll_pitch_and_yaw_turn_about_fixed_axes_and_a_positive_pitch_looks_down():
    x_axis = pose_matrix([0, 0, 0, 0, 0.1, 0])[:3, 0]
    np.testing.assert_allclose(x_axis, [math.cos(0.1), 0, -math.sin(0.1)], atol=1e-12)
    np.testing.assert_allclose(pose_matrix([0, 0, 0, 0, 0, math.pi / 2])[:3, 0], [0, 1, 0], atol=1e-12)
    roll, pitch, yaw = 0.3, -0.2, 1.1
    by_hand = (Rotation.from_rotvec([0, 0, yaw]) * Rotation.from_rotvec([0, pitch, 0])
               * Rotation.from_rotvec([roll, 0, 0])).as_matrix()
    np.testing.assert_allclose(pose_matrix([1, 2, 3, roll, pitch, yaw])[:3, :3], by_hand, atol=1e-12)
    np.testing.assert_array_equal(pose_matrix([1, 2, 3, roll, pitch, yaw])[:3, 3], [1, 2, 3])


@pytest.mark.parametrize("seed", range(5))
def test_quaternions_points_and_slerp_are_those_of_scipy(seed):
    random = np.random.default_rng(seed)
    first, last = Rotation.random(2, rng=random)
    move, points = random.normal(size=3), random.normal(size=(9, 3))
    pose = rigid_matrix(move, first.as_quat())
    np.testing.assert_allclose(moved_points(points, pose), first.apply(points) + move, atol=1e-12)
    np.testing.assert_allclose(Rotation.from_quat(quaternion_of(pose)).as_matrix(), first.as_matrix(), atol=1e-12)
    assert quaternion_of(pose)[3] >= 0
    for share in (0.0, 0.3, 1.0):
        expected = Slerp([0, 1], Rotation.concatenate([first, last]))([share])[0]
        found = Rotation.from_quat(slerp(first.as_quat(), -last.as_quat(), share))
        assert (found.inv() * expected).magnitude() < 1e-9
    near = Rotation.from_rotvec([1e-12, 0, 0]) * first
    np.testing.assert_allclose(slerp(first.as_quat(), near.as_quat(), 0.5), first.as_quat(), atol=1e-9)


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


@pytest.mark.parametrize("seed", range(3))
def test_every_lookup_is_that_of_tf2(seed):
    tf2 = pytest.importorskip("tf2_py", reason="tf2_py not there: it comes with a ROS installation")
    from geometry_msgs.msg import TransformStamped
    from rclpy.duration import Duration
    from rclpy.time import Time

    reference = RandomTree(seed)
    ours, theirs = reference.filled(), tf2.BufferCore(Duration(seconds=10))
    for child, sample in reference.samples.items():
        for time, move, turn in zip(*sample):
            sent = TransformStamped(child_frame_id=child)
            sent.header.frame_id = reference.parents[child]
            sent.header.stamp = Time(nanoseconds=int(time)).to_msg()
            to, at = sent.transform.translation, sent.transform.rotation
            to.x, to.y, to.z = map(float, move)
            at.x, at.y, at.z, at.w = map(float, turn)
            (theirs.set_transform_static if reference.static[child] else theirs.set_transform)(sent, "test")
    for time in np.random.default_rng(seed).integers(SECOND, 9 * SECOND, 25).tolist():
        for source in ours.frames():
            for target in ours.frames():
                try:
                    mine = ours.lookup(target, source, time)
                except TransformError:
                    with pytest.raises(tf2.TransformException):
                        theirs.lookup_transform_core(target, source, Time(nanoseconds=time))
                    continue
                found = theirs.lookup_transform_core(target, source, Time(nanoseconds=time)).transform
                move, turn = found.translation, found.rotation
                expected = matrix((move.x, move.y, move.z), (turn.x, turn.y, turn.z, turn.w))
                np.testing.assert_allclose(mine, expected, atol=1e-6)
