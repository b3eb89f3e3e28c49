"""A model of a few hundred voxels, and bags with clouds, transforms and truth, written with rosbags' own writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import CheckpointError
from pasco_core.geometry import VoxelGrid
from pasco_core.prediction import ScenePrediction, Segment
from pasco_core.stream.model import Model

GRID = VoxelGrid((0.0, -1.6, -2.0), 0.2, (32, 16, 16))
CAR, ROAD = 1, 9
START = 1_600_000_000_000_000_000
PERIOD = 100_000_000
TOPIC = "/points"
CLOUD, TF, GRID_TYPE = "sensor_msgs/msg/PointCloud2", "tf2_msgs/msg/TFMessage", "pasco/msg/VoxelGrid"
STORE = get_typestore(Stores.ROS2_KILTED)


def scene_of(points: np.ndarray, category: int = CAR) -> ScenePrediction:
    """Every voxel with a point is a car; its probability depends on the mean intensity."""
    n = SEMANTIC_KITTI.n_classes
    inside = points[GRID.contains(points[:, :3])]
    voxels = GRID.voxel_of(inside[:, :3])
    flat = np.unique(np.ravel_multi_index(voxels.T, GRID.shape))
    semantics = np.zeros(GRID.n_voxels, np.uint8)
    semantics[flat] = category
    sure = float(np.clip(0.5 + inside[:, 3].mean() / 2, 0, 1)) if len(inside) else 0.0
    probabilities = np.full((len(flat), n), (1 - sure) / (n - 1), np.float32)
    probabilities[:, category] = sure
    uncertainty = np.zeros(GRID.n_voxels, np.float32) if len(flat) else np.ones(GRID.n_voxels, np.float32)
    uncertainty[flat] = 1 - sure
    panoptic = (semantics == category).astype(np.int32)
    own = np.zeros(n + 1, np.float32)
    own[category] = 1
    segments = [Segment(1, category, True, sure, own, 0, len(flat))] if len(flat) else []
    return ScenePrediction(
        GRID, SEMANTIC_KITTI, semantics.reshape(GRID.shape), panoptic.reshape(GRID.shape), segments,
        uncertainty.reshape(GRID.shape), np.zeros(GRID.shape, np.float32), flat.astype(np.int64), probabilities,
        {"encoder": 0.25, "total": 0.25},
    )


def load(settings: Any) -> Model:
    """The stand-in as a process loads it."""
    return Model(scene_of, "stand-in", grid=GRID)


def load_other(settings: Any) -> Model:
    """A worse network: the first voxels along x are missed."""
    return Model(lambda points: scene_of(points[points[:, 0] > 2]), "other", grid=GRID)


def load_fragile(settings: Any) -> Model:
    """Fails for clouds with an odd number of points."""
    def predict(points: np.ndarray) -> ScenePrediction:
        if len(points) % 2:
            raise RuntimeError("odd")
        return scene_of(points)

    return Model(predict, "fragile", grid=GRID)


def load_nothing(settings: Any) -> Model:
    """As where the checkpoint is none."""
    raise CheckpointError("Expected a checkpoint, got a letter")


def points_of(number: int, n: int = 60) -> np.ndarray:
    rng = np.random.default_rng(number)
    places = rng.uniform((0.5, -1.5, -1.9), (6.3, 1.5, 1.1), (n, 3))
    return np.column_stack([places, rng.random(n)]).astype(np.float32)


def header(time: int, frame_id: str = "lidar") -> Any:
    stamp = STORE.types["builtin_interfaces/msg/Time"](sec=time // 10**9, nanosec=time % 10**9)
    return STORE.types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)


def cloud(time: int, points: np.ndarray, frame_id: str = "lidar") -> Any:
    field = STORE.types["sensor_msgs/msg/PointField"]
    fields = [field(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(("x", "y", "z", "intensity"))]
    data = np.ascontiguousarray(points, "<f4")
    return STORE.types[CLOUD](
        header=header(time, frame_id), height=1, width=len(data), fields=fields, is_bigendian=False, point_step=16,
        row_step=16 * len(data), data=data.view(np.uint8).reshape(-1), is_dense=True,
    )


def transform(time: int, parent: str, child: str, x: float) -> Any:
    types = STORE.types
    pose = types["geometry_msgs/msg/Transform"](
        translation=types["geometry_msgs/msg/Vector3"](x=x, y=0.0, z=0.0),
        rotation=types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
    )
    stamped = types["geometry_msgs/msg/TransformStamped"](
        header=header(time, parent), child_frame_id=child, transform=pose
    )
    return types[TF](transforms=[stamped])


def write(path: Path, messages: list[tuple[str, str, int, Any]]) -> Path:
    """(topic, type, time, message) as a bag."""
    from pasco_core.data.bags.message_types import known_types

    store = known_types()
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        known: dict[str, Any] = {}
        for topic, kind, time, message in messages:
            if topic not in known:
                known[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(known[topic], time, store.serialize_cdr(message, kind))
    return path


def drive(n: int = 6) -> list[tuple[str, str, int, Any]]:
    """``n`` clouds at 10 Hz."""
    return [(TOPIC, CLOUD, START + i * PERIOD, cloud(START + i * PERIOD, points_of(i))) for i in range(n)]


def truth_message(time: int, scene: ScenePrediction) -> Any:
    """A VoxelGrid as ``pasco data to-bag`` writes it, with the scene as the truth."""
    from pasco_core.data.bags.message_classes import message_classes
    from pasco_core.messages.message_types import MESSAGE_TYPES
    from pasco_core.messages.scene_messages import layered_grid_message

    layers = {"semantics": (2, 1.0, scene.semantics), "instance": (4, 1.0, scene.panoptic.astype("<u2"))}
    return layered_grid_message(
        message_classes(MESSAGE_TYPES), scene.grid, scene.labels, header(time), "ground truth", layers
    )


def with_truth(n: int = 4) -> list[tuple[str, str, int, Any]]:
    """A drive whose truth is what the stand-in predicts."""
    messages = []
    for entry in drive(n):
        number = (entry[2] - START) // PERIOD
        truth = truth_message(entry[2], scene_of(points_of(number)))
        messages += [entry, ("/truth/voxels", GRID_TYPE, entry[2], truth)]
    return messages
