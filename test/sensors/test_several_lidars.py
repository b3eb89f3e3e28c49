"""Clouds of several LiDARs from reception to one cloud: accounting, places, motion between them, what is missing."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("std_msgs", reason="the ROS messages are not installed: run `make setup`")

from std_msgs.msg import Header

from pasco_core.data.point_times import PointTimes
from pasco_core.errors import CloudError, TransformError
from pasco_core.geometry import KITTI_GRID
from pasco_core.geometry.poses import pose_matrix, quaternion_of
from pasco_core.geometry.transform_tree import TransformTree
from pasco_core.stream.frame_resolver import FrameResolver, Placement
from pasco_core.stream.outcomes import FrameLedger, Outcome, Verdict
from pasco_ros.computing.backoff import FailureBackoff
from pasco_ros.computing.latest_frame_worker import LatestFrameWorker
from pasco_ros.computing.sweep_builder import SweepBuilder
from pasco_ros.inputs.cloud_frame import CloudFrame, CloudMember
from pasco_ros.inputs.ego_motion import OdometryMotion, TfMotion
from pasco_ros.inputs.intake import CloudIntake
from pasco_ros.settings.node_config import NodeConfig

SECOND = 1_000_000_000
START = 1000 * SECOND
LEFT = (0.0, 2.0, 1.73, 0.0, 0.0, np.pi / 2)
TWO = {"partner_topics": ("/left",), "partner_poses": LEFT}


def header(time=START, frame="lidar"):
    sec, nanosec = divmod(time, SECOND)
    return SimpleNamespace(frame_id=frame, stamp=SimpleNamespace(sec=sec, nanosec=nanosec))


def cloud(points, time=START, frame="lidar", times=None):
    names = ["x", "y", "z", "intensity"] + (["time"] if times is not None else [])
    data = np.column_stack([points, times] if times is not None else [points]).astype("<f4")
    fields = [SimpleNamespace(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(names)]
    return SimpleNamespace(header=header(time, frame), height=1, width=len(data), fields=fields, is_bigendian=False,
                           is_dense=True, point_step=4 * len(names), row_step=0, data=data.tobytes())


def frame_of(*messages):
    members = tuple(CloudMember(message, "/" + message.header.frame_id, times=PointTimes(), number=number)
                    for number, message in enumerate(messages))
    return CloudFrame(members, FrameLedger(), 0.0)


class Tree:
    """A transform tree as the node's listener offers it."""

    def __init__(self):
        self.tree = TransformTree()

    def add(self, parent, child, time, pose, static=False):
        matrix = pose_matrix(pose)
        self.tree.insert(parent, child, time, matrix[:3, 3], quaternion_of(matrix), static)

    def lookup(self, target, source, at, timeout):
        return self.tree.lookup(target, source, at)


POINT = np.array([[10.0, 0, -1, 0.5]])
HERE = Placement(Header())
TWICE = np.repeat(POINT, 2, axis=0)


def test_a_partners_points_come_into_the_first_ones_frame_by_the_given_poses():
    config = NodeConfig(**TWO)
    builder = SweepBuilder(FrameResolver(), None, KITTI_GRID)
    built = builder.build(frame_of(cloud(POINT), cloud(POINT, frame="left")), HERE, config)
    np.testing.assert_allclose(built.points, [[10, 0, -1, 0.5], [0, 12, -1, 0.5]], atol=1e-5)


def test_a_partners_points_come_into_the_first_ones_frame_by_tf():
    tree = Tree()
    tree.add("base", "lidar", 0, (1, 0, 1.7, 0, 0, 0), static=True)
    tree.add("base", "left", 0, (1, 2, 1.7, 0, 0, np.pi / 2), static=True)
    config = NodeConfig(base_frame="base", partner_topics=("/left",))
    builder = SweepBuilder(FrameResolver(tree), None, KITTI_GRID)
    built = builder.build(frame_of(cloud(POINT), cloud(POINT, frame="left")), HERE, config)
    np.testing.assert_allclose(built.points[1, :3], [0, 12, -1], atol=1e-5)
    with pytest.raises(TransformError, match="'gone'"):  # never the identity for a place that is not known
        builder.build(frame_of(cloud(POINT), cloud(POINT, frame="gone")), HERE, config)


def test_an_empty_cloud_leaves_the_others_and_all_empty_is_empty():
    config, builder = NodeConfig(**TWO), SweepBuilder(FrameResolver(), None, KITTI_GRID)
    nothing = np.full((3, 4), np.nan)
    assert len(builder.build(frame_of(cloud(nothing), cloud(POINT, frame="left")), HERE, config)) == 1
    assert len(builder.build(frame_of(cloud(POINT), cloud(nothing, frame="left")), HERE, config)) == 1
    with pytest.raises(CloudError) as caught:
        builder.build(frame_of(cloud(nothing), cloud(nothing, frame="left")), HERE, config)
    assert caught.value.code == "EMPTY"


def test_the_capacity_holds_for_the_joined_cloud():
    config = NodeConfig(**TWO, max_points=150)
    many = np.tile(POINT, (100, 1))
    built = SweepBuilder(FrameResolver(), None, KITTI_GRID).build(
        frame_of(cloud(many), cloud(many, frame="left")), HERE, config)
    assert len(built) == 150 and "200 points" in built.notes[-1]


def odometry(speed, child="base_link"):
    motion = OdometryMotion("/odometry", FrameResolver())
    for time in range(START - SECOND // 5, START + SECOND // 5, SECOND // 50):
        pose = SimpleNamespace(position=SimpleNamespace(x=speed * (time - START) / SECOND, y=0.0, z=0.0),
                               orientation=SimpleNamespace(x=0.0, y=0.0, z=0.0, w=1.0))
        motion.receive(SimpleNamespace(header=header(time, "odom"), child_frame_id=child,
                                       pose=SimpleNamespace(pose=pose)))
    return motion


def test_points_of_a_partner_measured_at_another_time_are_moved_with_the_vehicle():
    builder = SweepBuilder(FrameResolver(), odometry(10.0), KITTI_GRID)
    late = cloud(TWICE, START + SECOND // 20, "left", times=[-0.03, 0.02])
    built = builder.build(frame_of(cloud(TWICE, times=[-0.05, 0.05]), late), HERE, NodeConfig(**TWO))
    expected = [[9.5, 0, -1], [10.5, 0, -1], [0.2, 12, -1], [0.7, 12, -1]]
    np.testing.assert_allclose(built.points[:, :3], expected, atol=1e-4)
    assert builder.not_deskewed == ""


def test_odometry_of_the_sensor_itself_needs_no_place_on_the_vehicle():
    builder = SweepBuilder(FrameResolver(), odometry(10.0, child="lidar"), KITTI_GRID)
    config = NodeConfig(sensor_pose=(0.0, 0.0, 1.73, 0.0, 0.0, np.pi))
    built = builder.build(frame_of(cloud(TWICE, times=[0.0, 0.05])), HERE, config)
    np.testing.assert_allclose(built.points[:, :3], [[10, 0, -1], [10.5, 0, -1]], atol=1e-4)
    turned = SweepBuilder(FrameResolver(), odometry(10.0), KITTI_GRID)
    built = turned.build(frame_of(cloud(TWICE, times=[0.0, 0.05])), HERE, config)
    np.testing.assert_allclose(built.points[:, :3], [[10, 0, -1], [9.5, 0, -1]], atol=1e-4)


def test_odometry_of_a_frame_that_tf_does_not_know_moves_nothing_and_the_cloud_goes_on():
    tree = Tree()
    tree.add("base", "lidar", 0, (0, 0, 1.7, 0, 0, 0), static=True)
    resolver = FrameResolver(tree)
    motion = odometry(10.0, child="imu")
    motion._resolver = resolver
    builder = SweepBuilder(resolver, motion, KITTI_GRID)
    config = NodeConfig(base_frame="base", deskew="odometry")
    built = builder.build(frame_of(cloud(TWICE, times=[0.0, 0.05])), HERE, config)
    np.testing.assert_array_equal(built.points[:, 0], 10)
    assert "is not known" in builder.not_deskewed and "'imu'" in motion.source()
    tree.add("base", "imu", 0, (0, 0, 0, 0, 0, np.pi), static=True)  # mounted backwards
    built = builder.build(frame_of(cloud(TWICE, times=[0.0, 0.05])), HERE, config)
    np.testing.assert_allclose(built.points[:, 0], [10, 9.5], atol=1e-4)


def test_tf_with_a_fixed_frame_tells_the_movement_and_a_gap_is_said():
    tree = Tree()
    tree.add("base", "lidar", 0, (0, 0, 1.7, 0, 0, 0), static=True)
    for time in range(START - SECOND // 5, START + SECOND // 50, SECOND // 50):
        tree.add("odom", "base", time, (20 * (time - START) / SECOND, 0, 0, 0, 0, 0))
    builder = SweepBuilder(FrameResolver(tree), TfMotion(tree.tree, "odom"), KITTI_GRID)
    config = NodeConfig(base_frame="base", deskew="tf")
    points = np.tile(POINT, (3, 1))
    built = builder.build(frame_of(cloud(points, times=[-0.05, 0.0, 0.05])), HERE, config)
    np.testing.assert_allclose(built.points[:, 0], [9, 10, 11], atol=1e-4)  # the last 0.05 s by even movement
    built = builder.build(frame_of(cloud(points, START + SECOND, times=[-0.05, 0.0, 0.05])), HERE, config)
    np.testing.assert_array_equal(built.points[:, 0], 10)
    assert "is not known" in builder.not_deskewed


def test_without_times_the_cloud_is_moved_as_one_and_that_is_said():
    builder = SweepBuilder(FrameResolver(), odometry(10.0), KITTI_GRID)
    built = builder.build(frame_of(cloud(POINT)), HERE, NodeConfig())
    np.testing.assert_allclose(built.points[:, :3], POINT[:, :3], atol=1e-6)
    assert builder.not_deskewed == "The points on /lidar have no usable times"


class Desk:
    """The intake of three LiDARs with a worker whose computations always succeed, and a clock that is set by hand."""

    def __init__(self, **changes):
        config = NodeConfig(partner_topics=("/left", "/right"), partner_poses=(0.1,) * 12, **{
            "merge_timeout": 0.08, "skip_without_subscribers": False, **changes})
        self.now, self.outcomes, self.frames = 0.0, {}, []
        self.worker = LatestFrameWorker(self._compute, lambda frame, _: Verdict(Outcome.PUBLISHED), self._settle)
        self.intake = CloudIntake(
            ("/points", "/left", "/right"), self.worker, self._settle, FailureBackoff(3), lambda: config,
            lambda: START, lambda: True, clock=lambda: self.now)

    def _compute(self, frame):
        self.frames.append([member.number for member in frame.members])
        return frame

    def _settle(self, frame, verdict):
        for member in frame.members:
            self.outcomes.setdefault(id(member.message), []).append(verdict)
            frame.ledger.settle(verdict.outcome)

    def send(self, number, milliseconds, frame=None):
        message = cloud(POINT, START + milliseconds * 1_000_000, f"lidar{number}" if frame is None else frame)
        self.intake.receive(message, number)
        return message

    def wait(self, seconds):
        self.now += seconds
        self.intake.poll()

    def codes(self, *messages):
        return [self.outcomes[id(message)][0].code if id(message) in self.outcomes else "" for message in messages]

    def close(self):
        self.intake.close(Verdict(Outcome.FLUSHED, "DEACTIVATED"))
        self.worker.stop(Verdict(Outcome.FLUSHED, "SHUTDOWN"), 5.0)


def test_row_16_each_lidar_has_its_own_order_of_stamps():
    desk = Desk()
    sent = [desk.send(1, 10), desk.send(1, 10), desk.send(0, 0), desk.send(1, 5), desk.send(2, 5)]
    desk.close()
    assert desk.codes(*sent) == ["DEACTIVATED", "DUPLICATE", "DEACTIVATED", "OUT_OF_ORDER", "DEACTIVATED"]


def test_row_15_when_the_stamps_begin_again_everything_that_waits_is_flushed_once():
    desk = Desk(future_tolerance=0.0)
    old = [desk.send(1, 60_040), desk.send(0, 60_000)]
    new = [desk.send(0, 0), desk.send(1, 10), desk.send(2, -5)]
    assert desk.codes(*old) == ["CLOCK_JUMP"] * 2 and desk.codes(*new) == [""] * 3
    desk.close()
    assert desk.codes(*new) == ["DEACTIVATED"] * 3


def test_row_12_a_malformed_cloud_of_a_partner_is_rejected_by_its_topic_and_the_frame_goes_on_without_it():
    desk = Desk()
    sent = [desk.send(0, 0), desk.send(1, 5), desk.send(2, 5, frame="")]
    desk.wait(0.09)
    assert desk.codes(*sent) == ["", "", "FRAME_ID"] and "/right" in desk.outcomes[id(sent[2])][0].message
    assert desk.intake.merger.missed == {1: 0, 2: 1}
    desk.close()


def test_row_05_each_lidar_has_its_own_scale_of_intensity():
    desk = Desk(intensity_maxima=(0.5, 2.0))
    members = [desk.intake._streams[number].member(cloud(POINT, frame=f"lidar{number}")) for number in (0, 1)]
    frame = CloudFrame(tuple(members), FrameLedger(), 0.0)
    built = SweepBuilder(FrameResolver(), None, KITTI_GRID).build(frame, HERE, NodeConfig(**TWO))
    np.testing.assert_allclose(built.points[:, 3], [1.0, 0.25])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-30, 90), st.integers(0, 120), st.booleans()), max_size=40))
def test_every_cloud_of_every_lidar_has_one_outcome_and_members_of_a_frame_share_theirs(events):
    desk, stamps, sent = Desk(), [0, 0, 0], []
    desk.worker.start()
    for number, step, wait, broken in events:
        stamps[number] += step
        sent.append(desk.send(number, stamps[number], "" if broken and wait > 100 else None))
        desk.wait(wait / 1000)
    desk.close()
    assert [len(desk.outcomes[id(message)]) for message in sent] == [1] * len(sent)
    counts = Counter(verdicts[0].outcome for verdicts in desk.outcomes.values())
    assert {Outcome(i): n for i, n in enumerate(desk.intake.ledger.counts()) if n} == counts
    assert all(members[0] == 0 and sorted(members) == members for members in desk.frames)
