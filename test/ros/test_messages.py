"""Every message against the scene it was made from, read with plain struct and index arithmetic."""

from __future__ import annotations

import struct

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")

from pasco.msg import FrameStatus, VoxelLayer
from ros_stand_in import BUILDING, CAR, ROAD, voxelised_scene
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from pasco_core.data.cloud_message import decode_cloud
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.layer_codec import COMPRESSIONS
from pasco_core.data.voxel_message import LAYERS, layer_values
from pasco_core.errors import DataError
from pasco_core.geometry import KITTI_GRID
from pasco_core.messages.scene_reader import scene_from_messages
from pasco_core.stream.cloud_source import CloudMember
from pasco_core.stream.outcomes import FrameReport, Outcome, Verdict
from pasco_ros.outputs import messages

POINTS = np.array([[10.1, 0.3, -1.7, 0], [10.3, 2.1, -0.5, 0], [12.1, 3.3, 0.3, 0], [20.1, -9.1, 2.1, 0],
                   [0.1, -25.5, -1.9, 0], [10.3, -2.1, -0.5, 0]], np.float32)


@pytest.fixture
def scene():
    return voxelised_scene(POINTS)


@pytest.fixture
def header():
    header = Header(frame_id="lidar")
    header.stamp.sec, header.stamp.nanosec = 12, 34
    return header


def test_the_outcomes_are_those_of_the_status_message():
    names = {n: getattr(FrameStatus, n) for n in dir(FrameStatus) if n.isupper()}
    numbers = {n: value for n, value in names.items() if isinstance(value, int)}
    assert numbers == {outcome.name: int(outcome) for outcome in Outcome}


def test_the_layers_are_those_of_the_layer_message():
    assert set(LAYERS) == {VoxelLayer.SEMANTICS, VoxelLayer.INSTANCE, VoxelLayer.OCCUPANCY, VoxelLayer.UNCERTAINTY}


def test_a_cloud_message_is_decoded_to_the_points_it_was_made_from(header):
    message = messages.cloud_message(POINTS, header)
    np.testing.assert_array_equal(decode_cloud(message).points, POINTS)
    assert message.header == header


def test_the_voxel_grid_holds_each_voxel_at_the_place_its_description_says(scene, header):
    message = messages.voxel_grid_message(scene, header, "weights", LAYERS)
    assert message.header == header and message.checkpoint == "weights"
    assert (message.size_x, message.size_y, message.size_z) == (256, 256, 32)
    assert message.class_names == list(SEMANTIC_KITTI.class_names) and message.label_set == "SemanticKITTI"
    layers = {layer.name: layer for layer in message.layers}
    corner = np.array([message.origin.position.x, message.origin.position.y, message.origin.position.z])
    for point, category, segment in ((POINTS[0], ROAD, 1), (POINTS[1], CAR, 3), (POINTS[3], BUILDING, 2)):
        x, y, z = np.floor((point[:3] - corner) / message.voxel_size).astype(int)
        number = (x * message.size_y + y) * message.size_z + z
        assert layers["semantics"].data[number] == category
        assert struct.unpack_from("<H", layers["instance"].data, 2 * number)[0] == segment
        uncertainty = layers["uncertainty"]
        assert uncertainty.scale * uncertainty.data[number] + uncertainty.offset == pytest.approx(0.25, abs=1 / 254)
        assert layers["occupancy_probability"].data[number] == round(254 * (1 - 0.25 / 19))
    assert np.count_nonzero(np.frombuffer(layers["semantics"].data, np.uint8)) == len(POINTS)


def test_only_the_wanted_layers_are_sent(scene, header):
    message = messages.voxel_grid_message(scene, header, "", ("uncertainty", "semantics"))
    assert [layer.name for layer in message.layers] == ["uncertainty", "semantics"]


def test_an_unknown_grid_holds_the_unknown_value_of_each_encoding_everywhere(header):
    message = messages.unknown_voxel_grid_message(KITTI_GRID, SEMANTIC_KITTI, header, "", LAYERS)
    for name in LAYERS:
        assert layer_values(message, name)[1].all()


def test_a_scene_sent_as_messages_and_read_again_is_the_same_scene(scene, header):
    voxels = messages.voxel_grid_message(scene, header, "", LAYERS)
    again = scene_from_messages(voxels, messages.segment_array_message(scene, header, ""))
    np.testing.assert_array_equal(again.semantics, scene.semantics)
    np.testing.assert_array_equal(again.panoptic, scene.panoptic)
    np.testing.assert_allclose(again.voxel_uncertainty, scene.voxel_uncertainty, atol=0.5 / 254 + 1e-6)
    np.testing.assert_allclose(again.occupancy_probability(), scene.occupancy_probability(), atol=0.5 / 254 + 1e-6)
    assert again.grid == scene.grid and again.labels is scene.labels
    assert [(s.id, s.category, s.is_thing, s.n_voxels) for s in again.segments] == [
        (s.id, s.category, s.is_thing, s.n_voxels) for s in scene.segments
    ]


def test_an_unknown_grid_is_read_as_a_scene_without_anything(header):
    voxels = messages.unknown_voxel_grid_message(KITTI_GRID, SEMANTIC_KITTI, header, "", LAYERS)
    again = scene_from_messages(voxels, messages.no_segments_message(SEMANTIC_KITTI, header, ""))
    assert (again.semantics == 255).all() and (again.voxel_uncertainty == 1).all()
    assert not again.panoptic.any() and not again.occupancy_probability().any()


def test_a_layer_that_is_missing_or_too_short_is_named(scene, header):
    message = messages.voxel_grid_message(scene, header, "", ("semantics",))
    with pytest.raises(DataError, match="'instance', got semantics"):
        layer_values(message, "instance")
    message.layers[0].data = bytes(10)
    with pytest.raises(DataError, match=r"2097152 bytes.*got 10"):
        layer_values(message, "semantics")


def test_occupied_points_lie_at_voxel_centres_with_the_colour_of_their_class(scene, header):
    message = messages.occupied_points_message(scene, header)
    assert message.header == header and message.width == len(POINTS) and message.row_step == len(message.data)
    by_name = {f.name: f.offset for f in message.fields}
    assert list(by_name) == ["x", "y", "z", "rgb", "label", "instance", "uncertainty"]
    rows = []
    for start in range(0, len(message.data), message.point_step):
        x, y, z = struct.unpack_from("<3f", message.data, start)
        blue, green, red, zero = struct.unpack_from("<4B", message.data, start + by_name["rgb"])
        label, instance = struct.unpack_from("<2I", message.data, start + by_name["label"])
        uncertainty = struct.unpack_from("<f", message.data, start + by_name["uncertainty"])[0]
        rows.append(((x, y, z), (red, green, blue), zero, label, instance, uncertainty))
    found = {tuple(np.round(row[0], 3)): row for row in rows}
    row = found[(10.1, 0.3, -1.7)]
    assert row[1:] == (tuple(SEMANTIC_KITTI.colours[ROAD]), 0, ROAD, 1, 0.25)
    assert found[(20.1, -9.1, 2.1)][3:5] == (BUILDING, 2)


def test_occupied_points_above_the_uncertainty_threshold_are_left_out(scene, header):
    scene.voxel_uncertainty[tuple(scene.grid.voxel_of(POINTS[:1, :3])[0])] = 0.9
    assert messages.occupied_points_message(scene, header, 0.5).width == len(POINTS) - 1
    assert messages.occupied_points_message(scene, header, 1.0).width == len(POINTS)


def test_segments_carry_their_class_and_the_box_around_their_voxels(scene, header):
    message = messages.segment_array_message(scene, header, "weights")
    assert [s.id for s in message.segments] == [1, 2, 3, 4] and message.checkpoint == "weights"
    car = message.segments[2]
    assert (car.class_name, car.is_thing, car.class_id, car.n_voxels) == ("car", True, CAR, 2)
    assert car.confidence == pytest.approx(0.8) and car.uncertainty == pytest.approx(0.2)
    assert len(car.class_probabilities) == 21
    centre, size = car.box_pose.position, car.box_size
    np.testing.assert_allclose([centre.x, centre.y, centre.z], [11.2, 2.7, -0.1], atol=1e-6)
    np.testing.assert_allclose([size.x, size.y, size.z], [2.0, 1.4, 1.0], atol=1e-6)


def test_markers_first_remove_the_old_ones_and_then_show_things_only(scene, header):
    markers = messages.instance_markers(messages.segment_array_message(scene, header, "")).markers
    assert markers[0].action == Marker.DELETEALL
    boxes = [m for m in markers if m.type == Marker.CUBE and m.action == Marker.ADD]
    texts = [m.text for m in markers if m.type == Marker.TEXT_VIEW_FACING]
    assert [m.id for m in boxes] == [3, 4] and texts == ["car 0.80", "car 0.80"]
    assert all(m.header == header for m in markers) and all(min(m.scale.x, m.scale.y, m.scale.z) > 0 for m in boxes)


def test_a_scene_without_segments_still_removes_the_old_markers(header):
    empty = voxelised_scene(np.zeros((0, 4), np.float32))
    markers = messages.instance_markers(messages.segment_array_message(empty, header, "")).markers
    assert [m.action for m in markers] == [Marker.DELETEALL]


def test_a_map_cell_lies_where_the_column_lies(scene, header):
    cells = np.full((256, 256), -1, np.int8)
    cells[3, 200] = 77
    message = messages.plane_message(cells, scene.grid, header)
    assert (message.info.width, message.info.height) == (256, 256)
    number = message.data.index(77)
    column, row = number % message.info.width, number // message.info.width
    x = message.info.origin.position.x + (column + 0.5) * message.info.resolution
    y = message.info.origin.position.y + (row + 0.5) * message.info.resolution
    np.testing.assert_allclose([x, y], scene.grid.centre_of(np.array([[3, 200, 0]]))[0, :2], atol=1e-5)


def test_the_status_sums_to_the_clouds_received(header):
    counts = [0] * len(Outcome)
    counts[Outcome.PUBLISHED], counts[Outcome.REJECTED], counts[Outcome.PENDING] = 3, 2, 1
    cloud = CloudMember(messages.cloud_message(np.zeros((7, 4)), header), "/points")
    report = FrameReport(effort="fewer_subnets", stages={"wait": 0.5})
    message = messages.status_message(cloud, Verdict(Outcome.REJECTED, "LAYOUT", "why"), report, counts)
    assert message.frames_received == 6 == sum(message.frames_by_outcome)
    assert (message.outcome, message.code, message.points_in) == (FrameStatus.REJECTED, "LAYOUT", 7)
    assert (message.topic, message.effort, message.header) == ("/points", "fewer_subnets", header)
    assert message.stage_names == ["wait"] and list(message.stage_seconds) == [0.5] and np.isnan(message.age)


@pytest.mark.parametrize("compression", ["none", "zlib", "run_length"])
def test_compressed_layers_are_read_as_the_plain_ones(scene, header, compression):
    plain = messages.voxel_grid_message(scene, header, "", LAYERS)
    packed = messages.compress_layers(messages.voxel_grid_message(scene, header, "", LAYERS), compression)
    assert all(layer.compression == COMPRESSIONS[compression] for layer in packed.layers)
    for name in LAYERS:
        for ours, theirs in zip(layer_values(packed, name), layer_values(plain, name), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_the_numbers_of_the_codec_are_those_of_the_message():
    expected = {"none": VoxelLayer.COMPRESSION_NONE, "zlib": VoxelLayer.COMPRESSION_ZLIB,
                "run_length": VoxelLayer.COMPRESSION_RUN_LENGTH}
    assert expected == COMPRESSIONS
