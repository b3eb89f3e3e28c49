"""The node's pipeline, fed with the messages of a bag as they were recorded, makes what a replay makes."""

from __future__ import annotations

import pytest
import replay_stand_in as stand_in
from replay_stand_in import CLOUD, IMAGE, INFO, ODOMETRY, PERIOD, START, TF, TOPIC, done
from test_replay_sensors import MS, colour_of, moving_car, plan_of

from pasco_core.data.bags import open_bag
from pasco_core.data.bags.message_classes import message_classes
from pasco_core.data.bags.message_types import known_types
from pasco_core.geometry import KITTI_GRID
from pasco_core.geometry.transform_tree import TransformTree
from pasco_core.messages.message_types import MESSAGE_TYPES
from pasco_core.messages.outputs import OutputBuilder
from pasco_core.replay.outputs import topic_of
from pasco_core.stream.cameras import Cameras
from pasco_core.stream.cloud_source import CloudSource
from pasco_core.stream.ego_motion import ego_motion
from pasco_core.stream.frame_resolver import FrameResolver
from pasco_core.stream.outcomes import FrameLedger
from pasco_core.stream.stamped_transform import insert_stamped
from pasco_core.stream.sweep_builder import SweepBuilder


class Vehicle:
    """The node without ROS around it; a computation takes no time."""

    def __init__(self, plan):
        pipeline = pytest.importorskip("pasco_ros.computing.pipeline")
        from pasco_ros.computing.effort_control import EffortControl

        settings, model, self.tree = plan.settings, stand_in.load(plan.settings), TransformTree()
        resolver = FrameResolver(self)
        self.motion = ego_motion(settings, "/odom", resolver, self.tree)
        self.cameras = Cameras(plan.sensors.cameras, settings, resolver, self.motion)
        self.source, self.settings = CloudSource(TOPIC, settings), settings
        builder = OutputBuilder(message_classes(MESSAGE_TYPES), model.checkpoint, lambda name: True)
        self.pipeline = pipeline.CloudPipeline(
            model, EffortControl(model, lambda: settings), resolver, SweepBuilder(resolver, self.motion, KITTI_GRID),
            self.cameras, builder, lambda name, message: None, lambda: settings, lambda: 0,
            lambda text, level: None, TOPIC,
        )

    def lookup(self, target, source, at, timeout):
        return self.tree.lookup(target, source, at)

    def receive(self, kind, name, message, time):
        """The messages by output of a cloud; nothing for what stands beside the clouds."""
        if kind == TF:
            for stamped in message.transforms:
                insert_stamped(self.tree, stamped, name == "/tf_static")
        elif kind == ODOMETRY:
            self.motion.receive(message)
        elif kind in (IMAGE, INFO):
            (camera,) = self.cameras.all
            (camera.receive_image if kind == IMAGE else camera.receive_info)(message)
        else:
            from pasco_ros.inputs.cloud_frame import CloudFrame

            member = self.source.member(message)
            assert self.source.check(member, time, self.settings) is None
            return self.pipeline.compute(CloudFrame((member,), FrameLedger(), 0.0)).messages
        return None


def recording(n=4):
    """A car with everything: a cloud comes 5 ms after its stamp, the image before it, odometry and transforms too."""
    messages = [("/tf_static", TF, START - 300 * MS, stand_in.transform(START, "base", "lidar", 0.7)),
                ("/tf_static", TF, START - 300 * MS, stand_in.transform(START, "base", "camera", 0.2, stand_in.AHEAD)),
                ("/front/camera_info", INFO, START - 300 * MS, stand_in.camera_info(START))]
    for topic, kind, time, message in moving_car(n):
        messages.append((topic, kind, time + 5 * MS if kind == CLOUD else time, message))
    for i in range(n):
        time = START + i * PERIOD
        messages.append(("/front/image_raw", IMAGE, time, stand_in.image(time - 30 * MS, colour_of(i))))
    return sorted(messages, key=lambda entry: entry[2])


@pytest.mark.parametrize("output", ["sensor", "base"])
def test_the_node_makes_the_same_bytes_of_the_same_recording(tmp_path, output):
    bag = stand_in.write(tmp_path / "drive", recording())
    params = ["base_frame=base", "network_pose=[0, 0, 0, 0, 0, 0]", "deskew=odometry", "point_colours=camera",
              f"output_frame={output}", "camera_tolerance=0.05"]
    plan = plan_of(bag, params, cameras=["/front/image_raw"])
    done(plan, tmp_path / "out")
    vehicle, expected = Vehicle(plan), {}
    with open_bag(bag) as reader:
        for name, time, message in reader.messages():
            made = vehicle.receive(reader.topics[name].type, name, message, time)
            for output_name, content in (made or {}).items():
                expected.setdefault(topic_of(output_name), []).append(content)
    assert len(expected) == 7
    assert all(len(set(picture.data[0::3].tolist())) > 2 for picture in expected[topic_of("overlay")])  # drawn into
    with open_bag(tmp_path / "out" / "bag") as reader:
        for topic, contents in expected.items():
            kind = reader.topics[topic].type
            replayed = [data for _, _, data in reader.raw_messages([topic])]
            node = [bytes(known_types().serialize_cdr(content, kind)) for content in contents]
            assert [bytes(data) for data in replayed] == node, topic
            assert len(node) == 4
