"""The messages of a bag and those of rclpy are the same bytes, whichever classes they were made of."""

from __future__ import annotations

import numpy as np
import pytest
import replay_stand_in as stand_in

from pasco_core.data.bags.message_classes import message_classes
from pasco_core.data.bags.message_types import known_types
from pasco_core.messages.message_types import MESSAGE_TYPES
from pasco_core.messages.outputs import OUTPUTS, OutputBuilder
from pasco_core.messages.scene_messages import status_message
from pasco_core.replay.settings import ReplaySettings
from pasco_core.stream.outcomes import FrameReport, Outcome, Verdict


@pytest.fixture
def types():
    return message_classes(MESSAGE_TYPES)


def made(types, points, pose=None):
    header = types.Header(stamp=types.Time(sec=12, nanosec=34), frame_id="lidar")
    builder = OutputBuilder(types, "weights", lambda name: True)
    return builder.scene(stand_in.scene_of(points), header, ReplaySettings(), pose)


@pytest.mark.parametrize("pose", [None, np.array([[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])])
def test_a_bags_messages_are_what_is_received_of_rclpys_byte_by_byte(types, pose):
    pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
    pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")
    from rclpy.serialization import serialize_message

    from pasco_ros.outputs.messages import TYPES

    store = known_types()
    ours, theirs = made(types, stand_in.points_of(0), pose), made(TYPES, stand_in.points_of(0), pose)
    assert list(ours) == list(theirs) == [output.name for output in OUTPUTS]
    for output in OUTPUTS:
        data = bytes(store.serialize_cdr(ours[output.name], MESSAGE_TYPES[output.type]))
        received = store.deserialize_cdr(serialize_message(theirs[output.name]), MESSAGE_TYPES[output.type])
        assert data == bytes(store.serialize_cdr(received, MESSAGE_TYPES[output.type])), output.name


def test_fields_that_are_left_out_have_the_defaults_of_their_message(types):
    marker = types.Marker(id=7)
    assert (marker.id, marker.ns, marker.pose.orientation.w, marker.color.a) == (7, "", 1.0, 0.0)
    assert types.VoxelLayer().scale == 1.0 and types.PointCloud2().fields == []
    assert types.Pose().position is not types.Pose().position
    with pytest.raises(TypeError, match="colour"):
        types.Marker(colour=1)


def test_a_status_can_be_written_and_read(types):
    cloud = type("Cloud", (), {"message": types.PointCloud2(), "topic": "/points", "points_in": 5})
    counts = [0] * len(Outcome)
    counts[Outcome.EMPTY] = 2
    report = FrameReport(stages={"decode": 0.5})
    message = status_message(types, cloud, Verdict(Outcome.EMPTY, "EMPTY", "why"), report, counts)
    store = known_types()
    back = store.deserialize_cdr(store.serialize_cdr(message, MESSAGE_TYPES["FrameStatus"]), "pasco/msg/FrameStatus")
    assert (back.outcome, back.code, back.points_in, list(back.stage_seconds)) == (2, "EMPTY", 5, [0.5])
    assert back.frames_received == 2 and np.isnan(back.age)
