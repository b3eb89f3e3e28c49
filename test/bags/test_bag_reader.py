"""Whole bags of every kind are read as rosbags itself reads them, in the order of log time, in bounded memory."""

from __future__ import annotations

import itertools
import tracemalloc
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
from bag_files import LOG, channel_records, chunk, mcap, message_record, points_of, storage_file, text, write_bag
from bag_messages import CLOUD, START, STORE, cloud, write_messages
from rosbags.highlevel import AnyReader

from pasco_core.data.bags import TopicInfo, find_cloud_topic, open_bag
from pasco_core.data.cloud_message import decode_cloud
from pasco_core.errors import DataError

KINDS = [
    ("mcap", 8, "none"), ("mcap", 9, "storage"), ("mcap", 8, "message"), ("mcap", 9, "file"),
    ("sqlite3", 8, "none"), ("sqlite3", 9, "message"), ("sqlite3", 8, "file"),
]


def raw(bag: Path, topics: list[str] | None = None) -> list[tuple[str, int, bytes]]:
    with open_bag(bag) as reader:
        messages = list(reader.raw_messages(topics))
        assert reader.damage == ()
    return messages


@pytest.mark.parametrize(("storage", "version", "compression"), KINDS)
def test_a_bag_of_every_kind_reads_as_rosbags_reads_it(tmp_path, storage, version, compression):
    bag = write_bag(tmp_path / "bag", storage=storage, version=version, compression=compression)
    with AnyReader([bag]) as reference:
        expected = [(c.topic, time, bytes(data)) for c, time, data in reference.messages()]
    assert raw(bag) == expected
    with open_bag(bag) as reader:
        assert list(reader.topics.values()) == [TopicInfo("/log", LOG, 20), TopicInfo("/points", CLOUD, 20)]
        assert reader.start_time == START


@pytest.mark.parametrize(("storage", "version", "compression"), KINDS)
def test_a_single_file_is_read_without_its_metadata(tmp_path, storage, version, compression):
    bag = write_bag(tmp_path / "bag", 5, storage=storage, version=version, compression=compression)
    assert raw(storage_file(bag)) == raw(bag) == raw(bag / "metadata.yaml")


def test_clouds_come_out_point_by_point(tmp_path):
    with open_bag(write_bag(tmp_path / "bag", 3)) as reader:
        topic = find_cloud_topic(reader)
        decoded = [decode_cloud(message, name).points for name, _, message in reader.messages([topic.name])]
    assert len(decoded) == 3
    for i, points in enumerate(decoded):
        np.testing.assert_array_equal(points, points_of(i))


def test_only_the_topics_asked_for_are_read(tmp_path):
    bag = write_bag(tmp_path / "bag", 4)
    assert [(topic, len(data) > 1000) for topic, _, data in raw(bag, ["/points"])] == [("/points", True)] * 4
    assert raw(bag, []) == []


def test_several_files_of_a_bag_are_merged_by_log_time(tmp_path):
    """The second file begins before the first one ends."""
    first = write_messages(tmp_path / "a", [("/log", LOG, START + t, text(f"a{t}")) for t in (0, 10, 30)])
    second = write_messages(tmp_path / "b", [("/log", LOG, START + t, text(f"b{t}")) for t in (20, 40)], "sqlite3")
    folder = tmp_path / "bag"
    folder.mkdir()
    for bag in (second, first):
        storage_file(bag).rename(folder / storage_file(bag).name)
    (folder / "metadata.yaml").write_text(
        "rosbag2_bagfile_information: {version: 9, relative_file_paths: [b.db3, a.mcap]}\n"
    )
    with open_bag(folder) as reader:
        assert [message.data for _, _, message in reader.messages()] == ["a0", "a10", "b20", "a30", "b40"]


@pytest.mark.parametrize("chunked", [False, True])
def test_messages_out_of_order_come_in_the_order_of_log_time(tmp_path, chunked):
    times = [30, 10, 20, 60, 40, 50, 55, 35]
    groups = [times[:4], times[4:]]
    body = channel_records()
    for group in groups:
        records = b"".join(message_record(t, f"at {t}") for t in group)
        body += chunk(records, min(group), max(group)) if chunked else records
    file = tmp_path / "odd.mcap"
    file.write_bytes(mcap(body))
    with open_bag(file) as reader:
        assert reader.damage == ()
        assert [(time, message.data) for _, time, message in reader.messages()] == [
            (t, f"at {t}") for t in sorted(times)
        ]


def test_chunks_compressed_with_lz4_are_read(tmp_path):
    records = channel_records() + b"".join(message_record(t, f"at {t}") for t in range(5))
    file = tmp_path / "lz4.mcap"
    file.write_bytes(mcap(chunk(records, 0, 4, b"lz4", lz4.frame.compress(records))))
    with open_bag(file) as reader:
        assert [message.data for _, _, message in reader.messages()] == [f"at {t}" for t in range(5)]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_memory_does_not_grow_with_the_bag(tmp_path, storage):
    bag = write_bag(tmp_path / "bag", 40, storage=storage, n_points=60_000)  # clouds of 1 MB
    assert storage_file(bag).stat().st_size > 38e6
    with open_bag(bag) as reader:
        tracemalloc.start()
        n = sum(1 for _ in reader.messages())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert n == 80
    assert peak < 12e6


def test_reading_can_begin_anew_and_twice_at_the_same_time(tmp_path):
    with open_bag(write_bag(tmp_path / "bag", 6)) as reader:
        first, second = reader.raw_messages(), reader.raw_messages(["/log"])
        mixed = list(itertools.chain.from_iterable(zip(first, second)))
        assert mixed[1::2] == list(reader.raw_messages(["/log"]))
        assert mixed[0::2] == list(reader.raw_messages())[:6]


def test_the_packages_own_messages_are_known_without_a_definition_in_the_bag(tmp_path):
    from pasco_core.data.bags.message_types import PACKAGE_MESSAGES, known_types

    assert {f"pasco/msg/{name}" for name in PACKAGE_MESSAGES} <= set(known_types().types)


def test_a_bags_own_definition_goes_before_a_standard_one(tmp_path):
    """A type that has the name of a standard one, but another field."""
    data = b"\x00\x01\x00\x00" + (7).to_bytes(4, "little")
    records = channel_records(schema=b"uint32 number")
    body = records + b"\x05" + (22 + len(data)).to_bytes(8, "little") + b"\x01\x00" + bytes(20) + data
    file = tmp_path / "own.mcap"
    file.write_bytes(mcap(body))
    with open_bag(file) as reader:
        assert [message.number for _, _, message in reader.messages()] == [7]


def test_the_only_cloud_topic_is_found_among_others(tmp_path):
    messages = [("/log", LOG, START, text("x")), ("/os/points", CLOUD, START, cloud(START, points_of(0)))]
    with open_bag(write_messages(tmp_path / "bag", messages)) as reader:
        assert find_cloud_topic(reader) == TopicInfo("/os/points", CLOUD, 1)


def test_several_cloud_topics_are_listed_for_the_user_to_choose(tmp_path):
    bag = write_bag(tmp_path / "bag", 2, cloud_topics=("/front/points", "/rear/points"))
    with open_bag(bag) as reader, pytest.raises(DataError, match=r"one topic of type .*/front/points .*/rear/points"):
        find_cloud_topic(reader)


def test_a_bag_without_clouds_says_what_it_has_instead(tmp_path):
    bag = write_messages(tmp_path / "bag", [("/log", LOG, START, text("x"))])
    with open_bag(bag) as reader, pytest.raises(DataError, match=r"PointCloud2, got /log \(std_msgs/msg/String, 1 m"):
        find_cloud_topic(reader)


def test_the_real_recording_is_read_from_both_formats(shared_data, tmp_path):
    import tarfile

    with tarfile.open(shared_data / "rosbag2_os1" / "ros2_db3.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    clouds = []
    for bag in (shared_data / "rosbag2_os1" / "ros2_mcap", tmp_path / "ros2"):
        with open_bag(bag) as reader:
            assert reader.damage == ()
            topic = find_cloud_topic(reader)
            assert topic == TopicInfo("/os1_cloud_node/points", CLOUD, 2)
            clouds.append([decode_cloud(m, n, min_range=0.1).points for n, _, m in reader.messages([topic.name])])
    for of_mcap, of_sqlite in zip(*clouds, strict=True):
        np.testing.assert_array_equal(of_mcap, of_sqlite)
        assert 30_000 < len(of_mcap) < 131_072
        assert np.abs(of_mcap[:, :3]).max() < 15


def test_types_that_nobody_defines_do_not_keep_other_topics_from_being_read(shared_data):
    """The recording's /rosout is of a ROS 1 type without a definition."""
    with open_bag(shared_data / "rosbag2_os1" / "ros2_mcap") as reader:
        assert len(list(reader.messages(["/os1_cloud_node/imu"]))) == 17
        with pytest.raises(DataError, match=r"/rosout in .*ros2_mcap to be of a type that is known .*rosgraph_msgs"):
            next(reader.messages(["/rosout"]))


def test_serialized_bytes_are_those_of_the_writer(tmp_path):
    bag = write_bag(tmp_path / "bag", 1)
    _, time, data = raw(bag, ["/points"])[0]
    assert data == bytes(STORE.serialize_cdr(cloud(time, points_of(0)), CLOUD))
