"""A dataset's frames as ROS messages: cloud with point labels, images, cameras, motion, and voxel truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pasco_core.data.bags.message_types import known_types
from pasco_core.data.bags.motion import MARGIN
from pasco_core.data.bags.reader import CLOUD_TYPE
from pasco_core.data.bags.sequence_sources import CAMERA_FRAME, EPOCH, SequenceSource
from pasco_core.data.bags.writer import BagTopic
from pasco_core.data.datasets.scans import read_image
from pasco_core.data.frame import Frame
from pasco_core.geometry.poses import quaternion_of

FIXED_FRAME, CLOUD_FRAME = "map", "velodyne"
CLOUD_TOPIC, ODOMETRY_TOPIC, TRUTH_TOPIC = "/velodyne_points", "/odom", "/truth/voxels"
TF_TOPIC, STATIC_TF_TOPIC = "/tf", "/tf_static"
IMAGE_TYPE, INFO_TYPE, TF_TYPE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
GRID_TYPE, ODOMETRY_TYPE = "pasco/msg/VoxelGrid", "nav_msgs/msg/Odometry"
COLOUR_CAMERAS = (2, 3)
"""Numbers of the cameras whose images are written: the left and the right colour camera."""

_FLOAT32, _UINT32, _UINT8, _UINT16 = 7, 6, 2, 4


def image_topic(camera: int) -> str:
    """Topic of a camera's images.

    >>> image_topic(2)
    '/camera_2/image_rect'
    """
    return f"/camera_{camera}/image_rect"


def info_topic(camera: int) -> str:
    """Topic of a camera's CameraInfo.

    >>> info_topic(2)
    '/camera_2/camera_info'
    """
    return f"/camera_{camera}/camera_info"


def is_our_time(time: int | None) -> bool:
    """Whether a bag that begins at a time was made from a dataset without dates: within ten days after ``EPOCH``."""
    return time is not None and 0 <= time - EPOCH < 10**15


class SequenceMessages:
    """Messages of one sequence of a dataset, frame by frame.

    Args:
        source: the sequence.
        frames: those that become messages, ascending.
    """

    def __init__(self, source: SequenceSource, frames: Sequence[Frame]):
        self._source = source
        self._types = known_types().types
        stamps = [source.stamp(frame) for frame in frames]
        self._before = dict(zip(frames, [stamps[0] - MARGIN, *stamps[:-1]], strict=True))
        self._last = frames[-1]
        self._velocities = None if source.motion is None else source.motion.velocities()
        self._topics = _topics(source, frames)

    def topics(self) -> list[BagTopic]:
        """What ``messages`` and ``static_message`` give, none without a message."""
        return list(self._topics)

    def static_message(self, stamp: int) -> Any | None:
        """The message of /tf_static: where the camera is; None where no calibration is known."""
        mount = self._source.camera_mount
        return None if mount is None else self._transforms(mount, CLOUD_FRAME, CAMERA_FRAME, stamp)

    def messages(self, frame: Frame) -> Iterator[tuple[str, int, Any]]:
        """(topic, stamp in ns, message) of a frame: the motion since the frame before, then what the sensors saw.

        Raises:
            DataError: a file of the frame is missing or breaks its format.
        """
        stamp = self._source.stamp(frame)
        yield from self._motion(self._before[frame], stamp + (MARGIN if frame == self._last else 0))
        yield CLOUD_TOPIC, stamp, self._cloud(frame, stamp)
        size = {}
        for camera in COLOUR_CAMERAS:
            image = self._source.image(camera, frame)
            if image is not None:
                pixels = read_image(image.path)
                size[camera] = pixels.shape[:2], image.stamp
                yield image_topic(camera), image.stamp, self._image(pixels, image.stamp)
        for known in self._source.cameras:
            shape, taken = size.get(known.number, (next((shape for shape, _ in size.values()), (0, 0)), stamp))
            yield info_topic(known.number), taken, self._camera_info(known.projection, shape, taken)
        layers = self._source.truth_layers(frame)
        if layers:
            yield TRUTH_TOPIC, stamp, self._grid(layers, stamp)

    def _motion(self, after: int, until: int) -> Iterator[tuple[str, int, Any]]:
        """/tf and /odom: every pose of the time, also of frames that are left out, so that it is known in between."""
        motion = self._source.motion
        if motion is None or self._velocities is None:
            return
        for row in motion.rows(after, until):
            stamp, pose = int(motion.stamps[row]), motion.poses[row]
            yield TF_TOPIC, stamp, self._transforms(pose, FIXED_FRAME, CLOUD_FRAME, stamp)
            yield ODOMETRY_TOPIC, stamp, self._odometry(pose, *(values[row] for values in self._velocities), stamp)

    def _cloud(self, frame: Frame, stamp: int) -> Any:
        points, labels = self._source.points(frame), self._source.point_labels(frame)
        columns = [(name, "<f4", _FLOAT32) for name in ("x", "y", "z", "intensity")]
        if labels is not None:
            columns.append(("label", "<u4", _UINT32))
        rows = np.empty(len(points), [(name, kind) for name, kind, _ in columns])
        for axis, (name, _, _) in enumerate(columns[:4]):
            rows[name] = points[:, axis]
        if labels is not None:
            rows["label"] = labels
        field = self._types["sensor_msgs/msg/PointField"]
        fields = [field(name=name, offset=4 * i, datatype=kind, count=1) for i, (name, _, kind) in enumerate(columns)]
        step = rows.dtype.itemsize
        return self._types[CLOUD_TYPE](
            header=self._header(CLOUD_FRAME, stamp), height=1, width=len(rows), fields=fields, is_bigendian=False,
            point_step=step, row_step=step * len(rows), data=rows.view(np.uint8).reshape(-1), is_dense=True,
        )

    def _image(self, pixels: np.ndarray, stamp: int) -> Any:
        height, width, _ = pixels.shape
        return self._types[IMAGE_TYPE](
            header=self._header(CAMERA_FRAME, stamp), height=height, width=width, encoding="rgb8", is_bigendian=0,
            step=3 * width, data=np.ascontiguousarray(pixels).reshape(-1),
        )

    def _camera_info(self, projection: np.ndarray, size: tuple[int, int], stamp: int) -> Any:
        """The rectified camera; its place beside camera 0, whose frame the message names, is in the fourth column."""
        region = self._types["sensor_msgs/msg/RegionOfInterest"]
        return self._types[INFO_TYPE](
            header=self._header(CAMERA_FRAME, stamp), height=size[0], width=size[1], distortion_model="plumb_bob",
            d=np.zeros(5), k=projection[:, :3].reshape(-1).copy(), r=np.eye(3).reshape(-1),
            p=projection.reshape(-1).copy(), binning_x=0, binning_y=0,
            roi=region(x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
        )

    def _grid(self, layers: dict[str, np.ndarray], stamp: int) -> Any:
        grid, labels = self._source.grid, self._source.labels
        x, y, z = grid.origin
        pose = self._types["geometry_msgs/msg/Pose"](
            position=self._types["geometry_msgs/msg/Point"](x=x, y=y, z=z),
            orientation=self._types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
        )
        layer = self._types["pasco/msg/VoxelLayer"]
        return self._types[GRID_TYPE](
            header=self._header(CLOUD_FRAME, stamp), origin=pose, voxel_size=float(grid.voxel_size),
            size_x=grid.shape[0], size_y=grid.shape[1], size_z=grid.shape[2], class_names=list(labels.class_names),
            label_set=labels.name, checkpoint="ground truth",
            layers=[
                layer(name=name, encoding=_UINT8 if values.dtype == np.uint8 else _UINT16, compression=0, scale=1.0,
                      offset=0.0, data=np.ascontiguousarray(values).view(np.uint8).reshape(-1))
                for name, values in layers.items()
            ],
        )

    def _transforms(self, matrix: np.ndarray, parent: str, child: str, stamp: int) -> Any:
        """A TFMessage with the place (4, 4) of ``child`` in ``parent``."""
        types = self._types
        transform = types["geometry_msgs/msg/Transform"](
            translation=self._vector(matrix[:3, 3]), rotation=self._quaternion(matrix)
        )
        stamped = types["geometry_msgs/msg/TransformStamped"](
            header=self._header(parent, stamp), child_frame_id=child, transform=transform
        )
        return types[TF_TYPE](transforms=[stamped])

    def _odometry(self, pose: np.ndarray, linear: np.ndarray, angular: np.ndarray, stamp: int) -> Any:
        """The motion of the frame of the clouds; covariances of 0 say that none are known."""
        types = self._types
        place = types["geometry_msgs/msg/Pose"](
            position=types["geometry_msgs/msg/Point"](*pose[:3, 3].tolist()), orientation=self._quaternion(pose)
        )
        twist = types["geometry_msgs/msg/Twist"](linear=self._vector(linear), angular=self._vector(angular))
        unknown = np.zeros(36)
        return types[ODOMETRY_TYPE](
            header=self._header(FIXED_FRAME, stamp), child_frame_id=CLOUD_FRAME,
            pose=types["geometry_msgs/msg/PoseWithCovariance"](pose=place, covariance=unknown),
            twist=types["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=unknown),
        )

    def _vector(self, values: np.ndarray) -> Any:
        return self._types["geometry_msgs/msg/Vector3"](*values.tolist())

    def _quaternion(self, matrix: np.ndarray) -> Any:
        return self._types["geometry_msgs/msg/Quaternion"](*quaternion_of(matrix))

    def _header(self, frame_id: str, stamp: int) -> Any:
        time = self._types["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
        return self._types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def _topics(source: SequenceSource, frames: Sequence[Frame]) -> list[BagTopic]:
    """The topics of a sequence's frames for which there is something."""
    seen = [camera for camera in COLOUR_CAMERAS if any(source.image(camera, frame) for frame in frames)]
    topics = [BagTopic(CLOUD_TOPIC, CLOUD_TYPE)]
    topics += [BagTopic(image_topic(camera), IMAGE_TYPE) for camera in seen]
    topics += [BagTopic(info_topic(camera.number), INFO_TYPE) for camera in source.cameras]
    if source.motion is not None:
        topics += [BagTopic(TF_TOPIC, TF_TYPE, depth=100), BagTopic(ODOMETRY_TOPIC, ODOMETRY_TYPE, depth=100)]
    if source.camera_mount is not None:
        topics.append(BagTopic(STATIC_TF_TOPIC, TF_TYPE, latched=True, depth=1))
    if any(map(source.has_truth, frames)):
        topics.append(BagTopic(TRUTH_TOPIC, GRID_TYPE))
    return topics
