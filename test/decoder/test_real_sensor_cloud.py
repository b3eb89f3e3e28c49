"""A cloud of a real Ouster sensor: organised, nine fields, missing returns written as zeros."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.cloud_message import decode_cloud
from pasco_core.data.point_times import PointTimes
from pasco_core.data.scan_statistics import TRAINING_SENSORS, differences, measure_scan


@pytest.fixture(scope="module")
def ouster_cloud(shared_data):
    pytest.importorskip("rosbags", reason="rosbags is not installed: run `make setup`")
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import Stores, get_typestore

    bags = sorted(path.parent for path in (shared_data / "rosbag2_os1").rglob("metadata.yaml"))
    if not bags:
        pytest.skip("sample data not there: no rosbag2 in ../shared/data/rosbag2_os1")
    with AnyReader([bags[0]], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
        clouds = [c for c in reader.connections if c.msgtype == "sensor_msgs/msg/PointCloud2"]
        for connection, _, raw in reader.messages(connections=clouds):
            return reader.deserialize(raw, connection.msgtype)
    pytest.skip("sample data not there: no PointCloud2 in the bag of ../shared/data/rosbag2_os1")


def test_the_coordinates_are_those_at_the_offsets_the_message_names(ouster_cloud):
    data = np.asarray(ouster_cloud.data).reshape(-1, ouster_cloud.point_step)
    offsets = {field.name: field.offset for field in ouster_cloud.fields}
    expected = np.column_stack([data[:, offsets[a]:offsets[a] + 4].copy().view("<f4")[:, 0] for a in "xyz"])
    cloud = decode_cloud(ouster_cloud)
    np.testing.assert_array_equal(cloud.points[:, :3], expected[np.isfinite(expected).all(axis=1)])
    assert ouster_cloud.height == 64 and len(data) == 64 * 2048
    assert cloud.points[:, 3].min() >= 0 and cloud.points[:, 3].max() <= 1


def test_missing_returns_are_left_out_by_their_range(ouster_cloud):
    whole, near = decode_cloud(ouster_cloud), decode_cloud(ouster_cloud, min_range=0.1)
    at_origin = int((whole.points[:, :3] == 0).all(axis=1).sum())
    assert at_origin > 1000 and near.removed >= at_origin
    assert np.linalg.norm(near.points[:, :3], axis=1).min() >= 0.1


def test_times_and_rings_of_a_real_ouster_are_those_of_its_columns_and_beams(ouster_cloud):
    cloud = decode_cloud(ouster_cloud, min_range=0.1, times=PointTimes(), rings=True)
    assert any("'t' uint32 read as ns, counted from the stamp" in note for note in cloud.notes)
    assert 0 <= cloud.times.min() < cloud.times.max() < 0.1
    assert sorted(set(cloud.rings.tolist())) == list(range(64))
    azimuth = np.unwrap(np.sort(-np.arctan2(cloud.points[:, 1], cloud.points[:, 0])))
    assert np.ptp(azimuth) > 6  # one turn
    scan = measure_scan(cloud, 0.5)
    found = differences(scan, TRAINING_SENSORS["hdl-64e"])
    assert scan.n_beams == 64 and any("reach 14 m instead of 77 m" in clause for clause in found)
