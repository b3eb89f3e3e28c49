"""A dataset's frames as ROS messages: cloud with point labels, image, cameras, pose, and voxel truth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pasco_core.data.bags.message_types import known_types
from pasco_core.data.bags.reader import CLOUD_TYPE
from pasco_core.data.bags.writer import BagTopic
from pasco_core.data.datasets.calibration import Calibration
from pasco_core.data.datasets.instance_files import instance_path
from pasco_core.data.datasets.kitti_360 import Kitti360
from pasco_core.data.datasets.scans import read_image
from pasco_core.data.datasets.semantic_kitti import SemanticKitti
from pasco_core.data.datasets.voxel_files import BIT_ENDINGS, read_labels
from pasco_core.data.frame import UNKNOWN, Frame
from pasco_core.errors import DataError
from pasco_core.geometry.poses import quaternion_of

FIXED_FRAME, CLOUD_FRAME, CAMERA_FRAME = "map", "velodyne", "camera_0_optical_frame"
CLOUD_TOPIC, IMAGE_TOPIC, TRUTH_TOPIC = "/velodyne_points", "/camera_2/image_rect", "/truth/voxels"
TF_TOPIC, STATIC_TF_TOPIC = "/tf", "/tf_static"
IMAGE_TYPE, INFO_TYPE, TF_TYPE = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
GRID_TYPE = "pasco/msg/VoxelGrid"
EPOCH = 10**18
"""Time of a sequence's zero in ns (September 2001): stamp 0 has a meaning of its own in ROS."""

RAW_LABELS = "raw_label"
MASKS = {".bin": "input", ".invalid": "invalid", ".occluded": "occluded"}
"""SemanticKITTI's voxel masks → layers of the truth, beside the layers ``semantics`` and ``instance``."""

_PERIOD = 0.1
_FLOAT32, _UINT32, _UINT8, _UINT16 = 7, 6, 2, 4
_NO_INSTANCE_KNOWN = 65535


def info_topic(camera: int) -> str:
    """Topic of a camera's CameraInfo.

    >>> info_topic(2)
    '/camera_2/camera_info'
    """
    return f"/camera_{camera}/camera_info"


def is_our_time(time: int | None) -> bool:
    """Whether a bag that begins at a time was made from a dataset: within ten days after ``EPOCH``."""
    return time is not None and 0 <= time - EPOCH < 10**15


class SequenceMessages:
    """Messages of one sequence of a dataset, frame by frame.

    Args:
        dataset: SemanticKITTI or SSCBench-KITTI-360, real or simulated.
        sequence: its folder's name.

    Raises:
        DataError: ``times.txt``, ``calib.txt`` or ``poses.txt`` is there and breaks its format.
    """

    def __init__(self, dataset: SemanticKitti | Kitti360, sequence: str):
        self.dataset, self.sequence = dataset, sequence
        self._kitti = dataset if isinstance(dataset, SemanticKitti) else None
        self._types = known_types().types
        self._times: np.ndarray | None = None
        self.calibration: Calibration | None = None
        self._poses: np.ndarray | None = None
        if self._kitti is not None:
            folder = self._kitti.scan_path(Frame(sequence, 0)).parents[1]
            self._times = self._kitti.times(sequence) if (folder / "times.txt").is_file() else None
            if (folder / "calib.txt").is_file():
                self.calibration = self._kitti.calibration(sequence)
                self._poses = self._kitti.poses(sequence) if (folder / "poses.txt").is_file() else None

    def topics(self) -> list[BagTopic]:
        """What ``messages`` may give."""
        topics = [BagTopic(CLOUD_TOPIC, CLOUD_TYPE), BagTopic(IMAGE_TOPIC, IMAGE_TYPE)]
        topics += [BagTopic(info_topic(camera), INFO_TYPE) for camera in self._cameras()]
        topics += [BagTopic(TF_TOPIC, TF_TYPE, depth=100), BagTopic(STATIC_TF_TOPIC, TF_TYPE, latched=True, depth=1)]
        return [*topics, BagTopic(TRUTH_TOPIC, GRID_TYPE)]

    def stamp(self, frame: Frame) -> int:
        """Time of a frame in ns: of ``times.txt``, or ten frames per second.

        Raises:
            DataError: ``times.txt`` has no line for the frame.
        """
        seconds = frame.index * _PERIOD
        if self._times is not None:
            if frame.index >= len(self._times):
                got = f"{len(self._times)} lines"
                raise DataError(f"Expected times.txt of sequence {self.sequence} to have a line for {frame}, got {got}")
            seconds = float(self._times[frame.index])
        return EPOCH + round(seconds * 1e9)

    def static_message(self) -> Any | None:
        """The message of /tf_static: where the camera is; None where no calibration is known."""
        if self.calibration is None:
            return None
        mount = np.linalg.inv(self.calibration.tr)
        return self._transforms(mount, CLOUD_FRAME, CAMERA_FRAME, EPOCH)

    def messages(self, frame: Frame) -> Iterator[tuple[str, Any]]:
        """(topic, message) of a frame, all with its stamp.

        Raises:
            DataError: a file of the frame is missing or breaks its format.
        """
        stamp = self.stamp(frame)
        if self._kitti is not None and self._poses is not None:
            yield TF_TOPIC, self._transforms(self._kitti.pose(frame), FIXED_FRAME, CLOUD_FRAME, stamp)
        yield CLOUD_TOPIC, self._cloud(frame, stamp)
        size = (0, 0)
        path = self.dataset.image_path(frame)
        if path.is_file():
            pixels = read_image(path)
            size = pixels.shape[:2]
            yield IMAGE_TOPIC, self._image(pixels, stamp)
        for camera, matrix in self._cameras().items():
            yield info_topic(camera), self._camera_info(matrix, size, stamp)
        layers = self._truth_layers(frame)
        if layers:
            yield TRUTH_TOPIC, self._grid(layers, stamp)

    def _cloud(self, frame: Frame, stamp: int) -> Any:
        points = self.dataset.points(frame)
        columns = [(name, "<f4", _FLOAT32) for name in ("x", "y", "z", "intensity")]
        labelled = self._kitti if self._kitti and self._kitti.point_label_path(frame).is_file() else None
        if labelled is not None:
            columns.append(("label", "<u4", _UINT32))
        rows = np.empty(len(points), [(name, kind) for name, kind, _ in columns])
        for axis, (name, _, _) in enumerate(columns[:4]):
            rows[name] = points[:, axis]
        if labelled is not None:
            raw, instances = labelled.raw_point_labels(frame)
            rows["label"] = raw | instances.astype(np.uint32) << 16
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

    def _cameras(self) -> dict[int, np.ndarray]:
        known = self.calibration
        matrices = {} if known is None else {0: known.p0, 1: known.p1, 2: known.p2, 3: known.p3}
        return {camera: matrix for camera, matrix in matrices.items() if matrix is not None}

    def _truth_layers(self, frame: Frame) -> dict[str, np.ndarray]:
        """What is known about the frame's voxels, by name of the layer."""
        layers: dict[str, np.ndarray] = {}
        if self._has_truth(frame):
            truth = self.dataset.truth(frame)
            nothing = (truth.semantics == UNKNOWN) & (truth.instances == 0)
            layers["semantics"] = truth.semantics
            layers["instance"] = np.where(nothing, np.uint16(_NO_INSTANCE_KNOWN), truth.instances)
        if self._kitti is not None:
            path = self._kitti.voxel_path(frame, ".label")
            if path.is_file():
                layers[RAW_LABELS] = read_labels(path, self._kitti.grid.shape)
            for ending in BIT_ENDINGS:
                if self._kitti.voxel_path(frame, ending).is_file():
                    layers[MASKS[ending]] = self._kitti.voxel_mask(frame, ending).view(np.uint8)
        return layers

    def _has_truth(self, frame: Frame) -> bool:
        dataset = self.dataset
        own = dataset.label_path(frame) if isinstance(dataset, Kitti360) else dataset.voxel_path(frame, ".label")
        return own.is_file() or any(instance_path(r, frame).is_file() for r in (dataset.truth_root, dataset.root))

    def _grid(self, layers: dict[str, np.ndarray], stamp: int) -> Any:
        grid, labels = self.dataset.grid, self.dataset.labels
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
        x, y, z, w = quaternion_of(matrix)
        types = self._types
        transform = types["geometry_msgs/msg/Transform"](
            translation=types["geometry_msgs/msg/Vector3"](*matrix[:3, 3].tolist()),
            rotation=types["geometry_msgs/msg/Quaternion"](x=x, y=y, z=z, w=w),
        )
        stamped = types["geometry_msgs/msg/TransformStamped"](
            header=self._header(parent, stamp), child_frame_id=child, transform=transform
        )
        return types[TF_TYPE](transforms=[stamped])

    def _header(self, frame_id: str, stamp: int) -> Any:
        time = self._types["builtin_interfaces/msg/Time"](sec=stamp // 10**9, nanosec=stamp % 10**9)
        return self._types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)
