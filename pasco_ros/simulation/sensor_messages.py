"""What the simulated car's sensors see, as messages."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseWithCovariance,
    Quaternion,
    Transform,
    TransformStamped,
    Twist,
    TwistWithCovariance,
    Vector3,
)
from nav_msgs.msg import Odometry
from pasco.msg import VoxelGrid, VoxelLayer
from sensor_msgs.msg import CameraInfo, PointCloud2
from std_msgs.msg import Header

from pasco_core.data.frame import VoxelTruth
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation.sensing.camera import KITTI_CALIBRATION
from pasco_core.data.simulation.sensing.lidar import LabelledScan
from pasco_core.geometry import KITTI_GRID
from pasco_core.geometry.poses import quaternion_of
from pasco_ros.outputs.messages import layered_grid_message, structured_cloud_message

_POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "<f4"), ("ring", "<u2"), ("time", "<f4")])


def scan_message(scan: LabelledScan, header: Header, timed: bool) -> PointCloud2:
    """A cloud with x y z in metres, intensity 0 to 0.99, ring from the top, and time in seconds after the stamp.

    Args:
        scan: what the LiDAR measured.
        header: its stamp and frame.
        timed: whether the points are where they were at their own times; else all of them get the time 0.
    """
    points = np.zeros(len(scan), _POINT)
    for column, name in enumerate(("x", "y", "z", "intensity")):
        points[name] = scan.points[:, column]
    points["ring"] = scan.beams
    if timed:
        points["time"] = scan.times
    return structured_cloud_message(points, header)


def camera_info_message(width: int, height: int, header: Header) -> CameraInfo:
    """KITTI's left colour camera, without distortion."""
    k = KITTI_CALIBRATION.p2[:, :3]
    return CameraInfo(
        header=header, width=width, height=height, distortion_model="plumb_bob", d=[0.0] * 5, k=k.reshape(-1),
        r=np.eye(3).reshape(-1), p=np.column_stack([k, np.zeros(3)]).reshape(-1),
    )


def truth_message(truth: VoxelTruth, header: Header) -> VoxelGrid:
    """Voxel truth as a grid with the layers semantics and instance; what nobody can have seen is unknown."""
    layers = {
        VoxelLayer.SEMANTICS: (VoxelLayer.UINT8, 1.0, truth.semantics.astype(np.uint8)),
        VoxelLayer.INSTANCE: (VoxelLayer.UINT16, 1.0, truth.instances.astype("<u2")),
    }
    return layered_grid_message(KITTI_GRID, SEMANTIC_KITTI, header, "simulated truth", layers)


def odometry_message(
    pose: np.ndarray, linear: np.ndarray, angular: np.ndarray, header: Header, child: str
) -> Odometry:
    """Exact odometry: a pose (4, 4) in the header's frame, and velocities (3,) in the frame ``child``."""
    x, y, z = map(float, pose[:3, 3])
    twist = Twist(linear=_vector(linear), angular=_vector(angular))
    return Odometry(
        header=header, child_frame_id=child,
        pose=PoseWithCovariance(pose=Pose(position=Point(x=x, y=y, z=z), orientation=_quaternion(pose))),
        twist=TwistWithCovariance(twist=twist),
    )


def transform_message(pose: np.ndarray, header: Header, child: str) -> TransformStamped:
    """The pose (4, 4) of the frame ``child`` in the header's frame."""
    transform = Transform(translation=_vector(pose[:3, 3]), rotation=_quaternion(pose))
    return TransformStamped(header=header, child_frame_id=child, transform=transform)


def _vector(values: np.ndarray) -> Vector3:
    x, y, z = map(float, values)
    return Vector3(x=x, y=y, z=z)


def _quaternion(pose: np.ndarray) -> Quaternion:
    x, y, z, w = quaternion_of(pose)
    return Quaternion(x=x, y=y, z=z, w=w)
