"""A model of a few hundred voxels, bags for it written with rosbags' own writer, and replays of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from bag_messages import CLOUD, START, STORE, cloud, header, write_messages

from pasco_core.data.bags import open_bag
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import CheckpointError
from pasco_core.geometry import VoxelGrid
from pasco_core.prediction import ScenePrediction, Segment
from pasco_core.replay import ReplayPlan, begin, replay
from pasco_core.replay.outputs import topic_of
from pasco_core.replay.summary import ReplaySummary, summary_of
from pasco_core.stream.model import Model

GRID = VoxelGrid((0.0, -1.6, -2.0), 0.2, (32, 16, 16))
CAR, ROAD = 1, 9
PERIOD = 100_000_000
TOPIC = "/points"
TF, GRID_TYPE = "tf2_msgs/msg/TFMessage", "pasco/msg/VoxelGrid"


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


AHEAD = (-0.5, 0.5, -0.5, 0.5)
"""Quaternion x, y, z, w of a camera's optical frame that looks ahead."""


def transform(
    time: int, parent: str, child: str, x: float, turn: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
) -> Any:
    types = STORE.types
    pose = types["geometry_msgs/msg/Transform"](
        translation=types["geometry_msgs/msg/Vector3"](x=x, y=0.0, z=0.0),
        rotation=types["geometry_msgs/msg/Quaternion"](**dict(zip("xyzw", turn, strict=True))),
    )
    stamped = types["geometry_msgs/msg/TransformStamped"](
        header=header(time, parent), child_frame_id=child, transform=pose
    )
    return types[TF](transforms=[stamped])


def write(path: Path, messages: list[tuple[str, str, int, Any]]) -> Path:
    """(topic, type, time, message) as a bag."""
    from pasco_core.data.bags.message_types import known_types

    return write_messages(path, messages, store=known_types())


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


def done(plan: ReplayPlan, out: Path, jobs: int = 1) -> ReplaySummary:
    """The plan carried out, or taken up again, in the folder ``out``."""
    run = begin(plan, out)
    for _ in replay(run, jobs):
        pass
    with open_bag(plan.bag) as reader:
        summary = summary_of(run, reader)
    summary.write(out)
    return summary


def messages_of(out: Path, topic: str) -> list[Any]:
    """What a replay in the folder ``out`` wrote to one of the node's topics, in order."""
    with open_bag(out / "bag") as reader:
        return [message for _, _, message in reader.messages([topic_of(topic)])]


ODOMETRY, IMAGE = "nav_msgs/msg/Odometry", "sensor_msgs/msg/Image"
PACKED, INFO = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
WIDTH, HEIGHT, FOCAL = 64, 48, 40.0


def odometry(time: int, x: float, child: str = "base", norm: float = 1.0) -> Any:
    """The vehicle at x metres ahead of its start."""
    types = STORE.types
    pose = types["geometry_msgs/msg/Pose"](
        position=types["geometry_msgs/msg/Point"](x=x, y=0.0, z=0.0),
        orientation=types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.0, w=norm),
    )
    zero = types["geometry_msgs/msg/Vector3"](x=0.0, y=0.0, z=0.0)
    twist = types["geometry_msgs/msg/Twist"](linear=zero, angular=zero)
    return types[ODOMETRY](
        header=header(time, "odom"), child_frame_id=child,
        pose=types["geometry_msgs/msg/PoseWithCovariance"](pose=pose, covariance=np.zeros(36)),
        twist=types["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=np.zeros(36)),
    )


def image(time: int, rgb: tuple[int, int, int], frame_id: str = "camera") -> Any:
    """A picture of one colour."""
    data = np.tile(np.array(rgb, np.uint8), WIDTH * HEIGHT)
    return STORE.types[IMAGE](
        header=header(time, frame_id), height=HEIGHT, width=WIDTH, encoding="rgb8", is_bigendian=0, step=3 * WIDTH,
        data=data,
    )


def packed_image(time: int, rgb: tuple[int, int, int], frame_id: str = "camera") -> Any:
    """The same as PNG."""
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), rgb).save(buffer, "PNG")
    return STORE.types[PACKED](
        header=header(time, frame_id), format="rgb8; png compressed", data=np.frombuffer(buffer.getvalue(), np.uint8)
    )


def camera_info(time: int, frame_id: str = "camera", focal: float = FOCAL) -> Any:
    """A camera without distortion, whose principal point is the image's middle."""
    k = np.array([focal, 0, WIDTH / 2, 0, focal, HEIGHT / 2, 0, 0, 1])
    region = STORE.types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return STORE.types[INFO](
        header=header(time, frame_id), height=HEIGHT, width=WIDTH, distortion_model="plumb_bob", d=np.zeros(5), k=k,
        r=np.eye(3).reshape(-1), p=np.column_stack([k.reshape(3, 3), np.zeros(3)]).reshape(-1), binning_x=0,
        binning_y=0, roi=region,
    )
