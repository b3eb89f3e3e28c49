"""One cloud out of a frame's clouds: decoded, every point brought to one instant, all sensors in one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pasco_core.data.cloud_message import EMPTY, decode_cloud, within_capacity
from pasco_core.data.deskew import deskewed
from pasco_core.data.point_cloud import PointCloud
from pasco_core.data.scan_statistics import ScanStatistics, measure_scan
from pasco_core.errors import CloudError, TransformError
from pasco_core.geometry import VoxelGrid
from pasco_core.geometry.poses import moved_points, pose_matrix
from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.cloud_source import CloudMember
from pasco_core.stream.ego_motion import EgoMotion
from pasco_core.stream.frame_resolver import FrameResolver, Placement
from pasco_core.stream.header_checks import stamp_ns

_EVERY = 10  # so many clouds are measured once: the beams of a cloud without ring numbers cost milliseconds


class SweepBuilder:
    """Works in the computing thread; what it learns about the sensors may be read from any.

    Args:
        resolver: where the sensors are.
        motion: how they move, None where nothing is to be de-skewed.
        grid: of the network, for the statistics.

    Attributes:
        statistics: how one of the last clouds looks in numbers.
        not_deskewed: why points of the last frame may be where they were measured, one sentence each.
    """

    def __init__(self, resolver: FrameResolver, motion: EgoMotion | None, grid: VoxelGrid) -> None:
        self._resolver = resolver
        self._motion = motion
        self._grid = grid
        self._built = 0
        self.statistics: ScanStatistics | None = None
        self.not_deskewed: tuple[str, ...] = ()

    def build(self, members: Sequence[CloudMember], placement: Placement, config: NodeConfig) -> PointCloud:
        """The points of all members in the frame of the first, at its stamp.

        Args:
            members: one cloud or more of one frame.
            placement: of the first member.
            config: the settings.

        Raises:
            CloudError: as ``decode_cloud`` for the first member; EMPTY only when no member has a point.
            TransformError: where a sensor is cannot be told.
        """
        clouds, empty, first = [], None, members[0]
        problems: list[str] = []
        for member in members:
            try:
                cloud = self._decoded(member, config)
            except CloudError as error:
                if error.code != EMPTY:
                    raise
                empty = error
                continue
            if member is first:
                self._measure(cloud, placement, config)
            clouds.append(self._placed(cloud, member, first, config, problems))
        self.not_deskewed = tuple(problems)
        if not clouds:
            raise empty or CloudError("Expected the frame to have at least one cloud, got none", EMPTY)
        return within_capacity(_joined(clouds), config.max_points, f"the frame of {first.topic}")

    def _decoded(self, member: CloudMember, config: NodeConfig) -> PointCloud:
        return decode_cloud(
            member.message, member.topic, max_points=config.max_points, min_range=config.min_range,
            layout=member.layout, scale=member.scale, times=member.times if self._motion else None,
            rings=self._built % _EVERY == 0,
        )

    def _measure(self, cloud: PointCloud, placement: Placement, config: NodeConfig) -> None:
        if self._built % _EVERY == 0 and config.training_sensor != "none":
            inside = self._grid.contains(placement.in_network(cloud.points)[:, :3])
            self.statistics = measure_scan(cloud, float(np.count_nonzero(inside)) / len(cloud))
        self._built += 1

    def _placed(
        self, cloud: PointCloud, member: CloudMember, first: CloudMember, config: NodeConfig, problems: list[str]
    ) -> PointCloud:
        """A member's points at the stamp and in the frame of the first member."""
        if self._motion is None and member is first:
            return cloud
        header = member.message.header
        mounted = self._mounted(member, config)
        if self._motion is not None:
            if cloud.times is None:
                problems.append(f"The points on {member.topic} have no usable times")
            instant = stamp_ns(first.message.header.stamp)
            moved = deskewed(cloud, stamp_ns(header.stamp), self._motion.poses_of(header, mounted, config), instant)
            if moved is None:
                problems.append(f"The movement over the sweep on {member.topic} is not known")
            cloud = cloud if moved is None else moved
        if member is first:
            return cloud
        to_first = np.linalg.inv(self._mounted(first, config)) @ mounted
        points = cloud.points.copy()
        points[:, :3] = moved_points(points[:, :3], to_first)
        return replace(cloud, points=points)

    def _mounted(self, member: CloudMember, config: NodeConfig) -> np.ndarray:
        """Pose (4, 4) of a member's frame on the vehicle."""
        if member.number == 0:
            return self._resolver.in_base(member.message.header, config)
        if config.base_frame:
            try:
                return self._resolver.in_base(member.message.header, config)
            except TransformError as error:
                raise TransformError(f"{error}; it is needed for the clouds on {member.topic}", error.reason) from error
        begin = 6 * (member.number - 1)
        return pose_matrix(config.partner_poses[begin : begin + 6])


def _joined(clouds: list[PointCloud]) -> PointCloud:
    if len(clouds) == 1:
        return clouds[0]
    notes: tuple[Any, ...] = tuple(dict.fromkeys(note for cloud in clouds for note in cloud.notes))
    return PointCloud(np.concatenate([cloud.points for cloud in clouds]), sum(c.removed for c in clouds), notes)
