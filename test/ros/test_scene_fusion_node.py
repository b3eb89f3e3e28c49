"""The node scene_fusion: scenes over ROS become one in the fixed frame."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("tf2_msgs", reason="tf2_msgs is not installed: run `make setup`")

import rclpy
from geometry_msgs.msg import TransformStamped
from node_bench import wait_for
from pasco.msg import SegmentArray, VoxelGrid
from rclpy.executors import SingleThreadedExecutor
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.voxel_message import layer_values
from pasco_core.geometry import VoxelGrid as Grid
from pasco_core.prediction import ScenePrediction, Segment
from pasco_core.stream.outcomes import Outcome
from pasco_ros import qos
from pasco_ros.fusion.scene_fusion import SceneFusionNode
from pasco_ros.outputs import messages

LAYERS = ("semantics", "instance", "occupancy_probability", "uncertainty")
GRID = Grid((0.0, -3.2, -0.8), 0.2, (32, 32, 8))
CAR, BUILDING = 1, 13


def scene(car_at: float, wall_at: float) -> ScenePrediction:
    """A wall of one voxel at x = ``wall_at`` and a car whose rear is at x = ``car_at``, in the sensor's frame."""
    semantics, panoptic = np.zeros(GRID.shape, np.uint8), np.zeros(GRID.shape, np.int32)
    wall, car = round(wall_at / 0.2), round(car_at / 0.2)
    semantics[wall, :, :] = BUILDING
    semantics[car:car + 8, 4:10, :6], panoptic[car:car + 8, 4:10, :6] = CAR, 7
    voxels = np.flatnonzero(semantics)
    probabilities = np.zeros((len(voxels), 20), np.float32)
    probabilities[np.arange(len(voxels)), semantics.reshape(-1)[voxels]] = 1
    segment = Segment(7, CAR, True, 0.9, np.eye(21, dtype=np.float32)[CAR], 0, int((panoptic > 0).sum()))
    doubt, nothing = np.full(GRID.shape, 0.1, np.float32), np.zeros(GRID.shape, np.float32)
    return ScenePrediction(
        GRID, SEMANTIC_KITTI, semantics, panoptic, [segment], doubt, nothing, voxels, probabilities
    )


class FusionBench:
    """The node in this process, with a client that publishes scenes and transforms."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        parameters = ["window_length:=19.2", "window_height:=4.8", "output_rate:=100.0", "tf_timeout:=0.3"]
        arguments = ["--ros-args", *(part for p in parameters for part in ("-p", p))]
        self.node = SceneFusionNode(arguments, context=self.context, cli_args=arguments)
        self.client = rclpy.create_node("client", context=self.context)
        self.tf = self.client.create_publisher(TFMessage, "/tf", qos.TRANSFORMS)
        self.voxels = self.client.create_publisher(VoxelGrid, "voxels", qos.LARGE_OUTPUT)
        self.segments = self.client.create_publisher(SegmentArray, "segments", qos.LATCHED_OUTPUT)
        self.fused: list[VoxelGrid] = []
        self.tracks: list[SegmentArray] = []
        self.client.create_subscription(VoxelGrid, "/scene_fusion/voxels", self.fused.append, qos.LARGE_OUTPUT)
        self.client.create_subscription(SegmentArray, "/scene_fusion/segments", self.tracks.append, qos.LATCHED_OUTPUT)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.executor.add_node(self.client)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()
        wait_for(lambda: all(p.get_subscription_count() for p in (self.tf, self.voxels, self.segments)))
        outputs = self.node._outputs
        wait_for(lambda: all(outputs[name].get_subscription_count() for name in ("voxels", "segments")))

    def header(self, time: float) -> Header:
        header = Header(frame_id="velodyne")
        header.stamp.sec, header.stamp.nanosec = divmod(round(time * 1e9), 1_000_000_000)
        return header

    def send(self, time: float, prediction: ScenePrediction, x: float | None) -> None:
        """Publish a scene, and the sensor's place along odom's x axis unless that is None."""
        header = self.header(time)
        if x is not None:
            transform = TransformStamped(header=Header(stamp=header.stamp, frame_id="odom"), child_frame_id="velodyne")
            transform.transform.translation.x = x
            heard = self.node._transforms.counts.received
            self.tf.publish(TFMessage(transforms=[transform]))
            wait_for(lambda: self.node._transforms.counts.received > heard)
        before = self.settled()
        self.segments.publish(messages.segment_array_message(prediction, header, "weights"))
        self.voxels.publish(messages.voxel_grid_message(prediction, header, "weights", LAYERS))
        wait_for(lambda: self.settled() > before)

    def settled(self) -> int:
        return sum(self.node.ledger.counts()[1:])

    def count(self, outcome: Outcome) -> int:
        return self.node.ledger.counts()[outcome]

    def close(self) -> None:
        assert self.node.close()
        self.executor.shutdown()
        self.thread.join(5)
        self.node.destroy_node()
        self.client.destroy_node()
        rclpy.try_shutdown(context=self.context)


@pytest.fixture
def bench():
    made = FusionBench()
    yield made
    made.close()


def walls_in_odom(grid: VoxelGrid) -> np.ndarray:
    """x of the voxels called building, in the message's frame."""
    assert grid.header.frame_id == "odom"
    semantics, _ = layer_values(grid, "semantics")
    return grid.origin.position.x + (np.unique(np.nonzero(semantics == BUILDING)[0]) + 0.5) * grid.voxel_size


def test_a_wall_stays_where_it_is_and_a_car_has_its_speed(bench):
    for k in range(6):
        time, x = 10 + 0.1 * k, 0.4 * k  # the vehicle drives 4 m/s, the car before it 6 m/s, the wall stands
        bench.send(time, scene(car_at=1.0 + 0.2 * k, wall_at=5.0 - x), x)
    wait_for(lambda: len(bench.fused) == 6 and len(bench.tracks) == 6)
    np.testing.assert_allclose(walls_in_odom(bench.fused[-1]), [5.1], atol=0.11)
    (track,) = bench.tracks[-1].segments
    assert (track.id, track.class_name) == (1, "car")
    assert track.velocity.x == pytest.approx(6, abs=0.7) and abs(track.velocity.y) < 0.5
    assert track.box_pose.position.x == pytest.approx(1.0 + 0.2 * 5 + 2.0 + 0.8, abs=0.25)
    assert bench.count(Outcome.PUBLISHED) == 6


def test_a_scene_without_a_transform_is_named_and_not_fused(bench):
    bench.send(10.0, scene(1.0, 5.0), None)
    assert bench.count(Outcome.TF_UNAVAILABLE) == 1 and not bench.fused
    bench.send(10.1, scene(1.0, 5.0), 0.0)
    wait_for(lambda: bench.fused)


def test_a_recording_that_begins_anew_begins_anew_here(bench):
    bench.send(20.0, scene(1.0, 5.0), 0.0)
    wait_for(lambda: len(bench.fused) == 1)
    bench.send(10.0, scene(1.0, 3.0), 0.0)
    begun = bench.node._fusion
    bench.node._clock_jumped("The node's clock jumped back by 10 s", 10_000_000_000)  # told after the stamps did
    assert bench.node._fusion is begun
    bench.send(10.1, scene(1.0, 3.0), 0.0)
    wait_for(lambda: len(bench.fused) == 3)
    np.testing.assert_allclose(walls_in_odom(bench.fused[-1]), [3.1], atol=0.11)


def test_a_grid_that_lacks_a_layer_is_rejected_by_name(bench):
    header = bench.header(10.0)
    bench.voxels.publish(messages.voxel_grid_message(scene(1.0, 5.0), header, "weights", LAYERS[:2]))
    wait_for(lambda: bench.count(Outcome.REJECTED) == 1)
    assert "'occupancy_probability'" in bench.node._problem


def test_a_stamp_twice_counts_once(bench):
    for _ in range(2):
        bench.send(10.0, scene(1.0, 5.0), 0.0)
    assert bench.count(Outcome.DROPPED_DUPLICATE) == 1 and bench.count(Outcome.PUBLISHED) == 1
