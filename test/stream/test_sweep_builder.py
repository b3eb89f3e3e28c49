"""One cloud out of the clouds of a frame: places, motion between them, what is missing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hand_made_clouds import POINT, SECOND, START, TWO, cloud, header

from pasco_core.data.point_times import PointTimes
from pasco_core.errors import CloudError, TransformError
from pasco_core.geometry import KITTI_GRID
from pasco_core.geometry.poses import pose_matrix, quaternion_of
from pasco_core.geometry.transform_tree import TransformTree
from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.cloud_source import CloudMember, CloudSource
from pasco_core.stream.ego_motion import OdometryMotion, TfMotion
from pasco_core.stream.frame_resolver import FrameResolver, Placement
from pasco_core.stream.sweep_builder import SweepBuilder


def members_of(*messages):
    return [CloudMember(message, "/" + message.header.frame_id, times=PointTimes(), number=number)
            for number, message in enumerate(messages)]


class Tree:
    """A transform tree as the node's listener offers it."""

    def __init__(self):
        self.tree = TransformTree()

    def add(self, parent, child, time, pose, static=False):
        matrix = pose_matrix(pose)
        self.tree.insert(parent, child, time, matrix[:3, 3], quaternion_of(matrix), static)

    def lookup(self, target, source, at, timeout):
        return self.tree.lookup(target, source, at)


HERE = Placement(header())
TWICE = np.repeat(POINT, 2, axis=0)


def test_a_partners_points_come_into_the_first_ones_frame_by_the_given_poses():
    config = NodeConfig(**TWO)
    builder = SweepBuilder(FrameResolver(), None, KITTI_GRID)
    built = builder.build(members_of(cloud(POINT), cloud(POINT, frame="left")), HERE, config)
    np.testing.assert_allclose(built.points, [[10, 0, -1, 0.5], [0, 12, -1, 0.5]], atol=1e-5)


def test_a_partners_points_come_into_the_first_ones_frame_by_tf():
    tree = Tree()
    tree.add("base", "lidar", 0, (1, 0, 1.7, 0, 0, 0), static=True)
    tree.add("base", "left", 0, (1, 2, 1.7, 0, 0, np.pi / 2), static=True)
    config = NodeConfig(base_frame="base", partner_topics=("/left",))
    builder = SweepBuilder(FrameResolver(tree), None, KITTI_GRID)
    built = builder.build(members_of(cloud(POINT), cloud(POINT, frame="left")), HERE, config)
    np.testing.assert_allclose(built.points[1, :3], [0, 12, -1], atol=1e-5)
    # Never the identity for a place that is not known.
    with pytest.raises(TransformError, match=r"'gone'.*needed for the clouds on /gone"):
        builder.build(members_of(cloud(POINT), cloud(POINT, frame="gone")), HERE, config)


def test_an_empty_cloud_leaves_the_others_and_all_empty_is_empty():
    config, builder = NodeConfig(**TWO), SweepBuilder(FrameResolver(), None, KITTI_GRID)
    nothing = np.full((3, 4), np.nan)
    assert len(builder.build(members_of(cloud(nothing), cloud(POINT, frame="left")), HERE, config)) == 1
    assert len(builder.build(members_of(cloud(POINT), cloud(nothing, frame="left")), HERE, config)) == 1
    with pytest.raises(CloudError) as caught:
        builder.build(members_of(cloud(nothing), cloud(nothing, frame="left")), HERE, config)
    assert caught.value.code == "EMPTY"


def test_the_capacity_holds_for_the_joined_cloud():
    config = NodeConfig(**TWO, max_points=150)
    many = np.tile(POINT, (100, 1))
    built = SweepBuilder(FrameResolver(), None, KITTI_GRID).build(
        members_of(cloud(many), cloud(many, frame="left")), HERE, config)
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
    built = builder.build(members_of(cloud(TWICE, times=[-0.05, 0.05]), late), HERE, NodeConfig(**TWO))
    expected = [[9.5, 0, -1], [10.5, 0, -1], [0.2, 12, -1], [0.7, 12, -1]]
    np.testing.assert_allclose(built.points[:, :3], expected, atol=1e-4)
    assert builder.not_deskewed == ()


def test_odometry_of_the_sensor_itself_needs_no_place_on_the_vehicle():
    builder = SweepBuilder(FrameResolver(), odometry(10.0, child="lidar"), KITTI_GRID)
    config = NodeConfig(sensor_pose=(0.0, 0.0, 1.73, 0.0, 0.0, np.pi))
    built = builder.build(members_of(cloud(TWICE, times=[0.0, 0.05])), HERE, config)
    np.testing.assert_allclose(built.points[:, :3], [[10, 0, -1], [10.5, 0, -1]], atol=1e-4)
    turned = SweepBuilder(FrameResolver(), odometry(10.0), KITTI_GRID)
    built = turned.build(members_of(cloud(TWICE, times=[0.0, 0.05])), HERE, config)
    np.testing.assert_allclose(built.points[:, :3], [[10, 0, -1], [9.5, 0, -1]], atol=1e-4)


def test_odometry_of_a_frame_that_tf_does_not_know_moves_nothing_and_the_cloud_goes_on():
    tree = Tree()
    tree.add("base", "lidar", 0, (0, 0, 1.7, 0, 0, 0), static=True)
    resolver = FrameResolver(tree)
    motion = odometry(10.0, child="imu")
    motion._resolver = resolver
    builder = SweepBuilder(resolver, motion, KITTI_GRID)
    config = NodeConfig(base_frame="base", deskew="odometry")
    built = builder.build(members_of(cloud(TWICE, times=[0.0, 0.05])), HERE, config)
    np.testing.assert_array_equal(built.points[:, 0], 10)
    assert "is not known" in builder.not_deskewed[0] and "'imu'" in motion.source()
    tree.add("base", "imu", 0, (0, 0, 0, 0, 0, np.pi), static=True)  # mounted backwards
    built = builder.build(members_of(cloud(TWICE, times=[0.0, 0.05])), HERE, config)
    np.testing.assert_allclose(built.points[:, 0], [10, 9.5], atol=1e-4)


def test_tf_with_a_fixed_frame_tells_the_movement_and_a_gap_is_said():
    tree = Tree()
    tree.add("base", "lidar", 0, (0, 0, 1.7, 0, 0, 0), static=True)
    for time in range(START - SECOND // 5, START + SECOND // 50, SECOND // 50):
        tree.add("odom", "base", time, (20 * (time - START) / SECOND, 0, 0, 0, 0, 0))
    builder = SweepBuilder(FrameResolver(tree), TfMotion(tree.tree, "odom"), KITTI_GRID)
    config = NodeConfig(base_frame="base", deskew="tf")
    points = np.tile(POINT, (3, 1))
    built = builder.build(members_of(cloud(points, times=[-0.05, 0.0, 0.05])), HERE, config)
    np.testing.assert_allclose(built.points[:, 0], [9, 10, 11], atol=1e-4)  # the last 0.05 s by even movement
    built = builder.build(members_of(cloud(points, START + SECOND, times=[-0.05, 0.0, 0.05])), HERE, config)
    np.testing.assert_array_equal(built.points[:, 0], 10)
    assert "is not known" in builder.not_deskewed[0]


def test_without_times_the_cloud_is_moved_as_one_and_that_is_said():
    builder = SweepBuilder(FrameResolver(), odometry(10.0), KITTI_GRID)
    built = builder.build(members_of(cloud(POINT)), HERE, NodeConfig())
    np.testing.assert_allclose(built.points[:, :3], POINT[:, :3], atol=1e-6)
    assert builder.not_deskewed == ("The points on /lidar have no usable times",)


def test_row_05_each_lidar_has_its_own_scale_of_intensity():
    config = NodeConfig(**TWO, intensity_maxima=(0.5, 2.0))
    members = [CloudSource(f"/lidar{n}", config, n).member(cloud(POINT, frame=f"lidar{n}")) for n in (0, 1)]
    built = SweepBuilder(FrameResolver(), None, KITTI_GRID).build(members, HERE, config)
    np.testing.assert_allclose(built.points[:, 3], [1.0, 0.25])
