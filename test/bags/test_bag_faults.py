"""Bags that are cut, damaged, odd or no bags: what is whole is read, and the message names file, topic and rule."""

from __future__ import annotations

import logging
import random
import re
import shutil
from pathlib import Path

import pytest
from bag_files import IMU, LOG, channel_records, chunk, mcap, message_record, storage_file, text, write_bag
from bag_messages import CLOUD, START, write_messages

from pasco_core.data.bags import find_cloud_topic, open_bag, require_topic
from pasco_core.errors import ConfigError, DataError

Raw = list[tuple[str, int, bytes]]


def read(path: Path) -> tuple[Raw, tuple[str, ...]]:
    """Every message that can be read, and the damage that is told."""
    with open_bag(path) as reader:
        messages = list(reader.raw_messages())
        counts = {topic.name: topic.count for topic in reader.topics.values() if topic.count}
        damage = reader.damage
    assert counts == {name: sum(m[0] == name for m in messages) for name in counts}, "counts are of what is read"
    assert [m[1] for m in messages] == sorted(m[1] for m in messages)
    return messages, damage


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught, open_bag(path) as reader:
        list(reader.messages())
    return str(caught.value)


def cut(source: Path, size: int, target: Path) -> Path:
    target.write_bytes(source.read_bytes()[:size])
    return target


# Truncated files


@pytest.mark.parametrize(("storage", "compression"), [("mcap", "none"), ("mcap", "storage"), ("sqlite3", "none")])
def test_a_truncated_bag_is_read_to_its_last_whole_message(tmp_path, storage, compression):
    """Wherever it is cut: what comes out is how the whole bag begins, at most a few messages short of the cut."""
    file = storage_file(write_bag(tmp_path / "bag", 60, storage=storage, compression=compression, n_points=2000))
    whole, _ = read(file)
    size, rng, n_read = file.stat().st_size, random.Random(3), []
    for at in sorted(rng.sample(range(size // 4, size - 50), 12)):
        messages, (damage,) = read(cut(file, at, tmp_path / f"cut{file.suffix}"))
        assert messages == whole[: len(messages)]
        assert f"{len(messages):,} messages before that are read" in damage
        n_read.append(len(messages) / (len(whole) * at / size))
    assert min(n_read) > 0.8


def test_an_mcap_cut_inside_a_chunk_gives_the_messages_before_the_cut(tmp_path):
    records = channel_records() + b"".join(message_record(t, f"at {t}") for t in range(10))
    data = mcap(chunk(records, 0, 9))
    whole = data.index(b"at 6") - 4 - 4 - 22 - 9  # string length, CDR head, message head, record head
    for at in (whole, whole + 20, whole + 30):
        file = tmp_path / "cut.mcap"
        file.write_bytes(data[:at])
        messages, (damage,) = read(file)
        assert [time for _, time, _ in messages] == [0, 1, 2, 3, 4, 5]
        assert "cut.mcap" in damage and "end of the file inside a chunk" in damage and "6 messages" in damage


@pytest.mark.parametrize("missing", [1, 8, 36, 37, 100, 400])
def test_an_mcap_cut_in_its_summary_or_footer_gives_every_message(tmp_path, missing):
    file = storage_file(write_bag(tmp_path / "bag", 10))
    messages, (damage,) = read(cut(file, file.stat().st_size - missing, tmp_path / "cut.mcap"))
    assert messages == read(file)[0]
    assert "no index at its end" in damage and "20 messages" in damage


@pytest.mark.parametrize("missing", [1, 100, 4096, 5000])
def test_no_byte_of_a_truncated_db3_is_made_up(tmp_path, missing):
    """SQLite itself fills a last page that is cut with zeros."""
    file = storage_file(write_bag(tmp_path / "bag", 30, storage="sqlite3", n_points=3000))
    messages, (damage,) = read(cut(file, file.stat().st_size - missing, tmp_path / "cut.db3"))
    assert set(messages) <= set(read(file)[0])
    assert len(messages) >= 56
    assert "cut.db3" in damage


def test_a_cut_file_in_a_bag_with_metadata_is_read_as_far_as_it_goes(tmp_path):
    bag = write_bag(tmp_path / "bag", 20)
    file = storage_file(bag)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    messages, (damage,) = read(bag)
    assert 10 < len(messages) < 40 and str(file) in damage


def test_damage_is_logged_once(tmp_path, caplog):
    file = storage_file(write_bag(tmp_path / "bag", 5))
    with caplog.at_level(logging.WARNING), open_bag(cut(file, 20_000, tmp_path / "cut.mcap")) as reader:
        list(reader.raw_messages())
        list(reader.raw_messages())
    assert len(caplog.records) == 1 and "cut.mcap" in caplog.text


def test_an_mcap_whose_end_was_never_written_to_gives_what_was(tmp_path):
    """A file system that had set room aside when the power went."""
    body = channel_records() + message_record(1, "good")
    file = tmp_path / "zeros.mcap"
    file.write_bytes(mcap(body)[:-45 - 13] + bytes(50_000_000))
    messages, (damage,) = read(file)
    assert [time for _, time, _ in messages] == [1]
    assert "bytes that are no record" in damage


# Damage inside


def test_a_chunk_with_a_wrong_checksum_ends_the_bag_before_it(tmp_path):
    good = channel_records() + message_record(1, "good")
    bad, after = message_record(2, "bad"), message_record(3, "after")
    file = tmp_path / "crc.mcap"
    file.write_bytes(mcap(chunk(good, 1, 1) + chunk(bad, 2, 2, checksum=1) + chunk(after, 3, 3)))
    messages, (damage,) = read(file)
    assert [time for _, time, _ in messages] == [1]
    assert "checksum" in damage and "crc.mcap" in damage


def test_an_indexed_bag_that_is_damaged_in_the_middle_ends_there(tmp_path):
    bag = write_bag(tmp_path / "bag", 200, compression="storage", n_points=3000)
    file = storage_file(bag)
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = bytes(2000)
    file.write_bytes(data)
    with open_bag(bag) as reader:
        assert reader.damage == ()
        n = sum(1 for _ in reader.raw_messages())
        assert 100 < n < 300
        assert len(reader.damage) == 1 and str(file) in reader.damage[0]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_random_bytes_inside_a_bag_lead_to_fewer_messages_or_an_error_never_to_a_crash(tmp_path, storage):
    file = storage_file(write_bag(tmp_path / "bag", 8, storage=storage, n_points=50))
    rng, data = random.Random(5), file.read_bytes()
    for _ in range(60):
        broken = bytearray(data)
        at = rng.randrange(16, len(broken) - 40)
        broken[at : at + 8] = rng.randbytes(8)
        target = tmp_path / f"broken{file.suffix}"
        target.write_bytes(broken)
        try:
            with open_bag(target) as reader:
                assert sum(1 for _ in reader.raw_messages()) <= 16
        except DataError as error:
            assert "broken" in str(error)


def test_a_message_that_does_not_fit_its_type_is_named(tmp_path):
    data = channel_records() + b"\x05" + (22 + 8).to_bytes(8, "little") + b"\x01\x00" + bytes(12) + bytes(8)
    file = tmp_path / "short.mcap"
    file.write_bytes(mcap(data + b"\x00\x01\x00\x00\xff\xff\xff\xff"))
    assert re.search(r"message on /log at 0 ns in .*short.mcap to be a std_msgs/msg/String, got 8 bytes", refused(file))


# The folder


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_without_metadata_is_read_and_says_so(tmp_path, storage):
    """A recorder that was killed leaves such a folder."""
    bag = write_bag(tmp_path / "bag", 5, storage=storage)
    whole, _ = read(bag)
    (bag / "metadata.yaml").unlink()
    messages, (damage,) = read(bag)
    assert messages == whole
    assert re.search(r"Expected bag .*bag to hold metadata.yaml, got none", damage)


def test_metadata_that_grows_when_it_is_read_does_not_take_all_memory(tmp_path):
    bag = write_bag(tmp_path / "bag", 1)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    inner = "rosbag2_bagfile_information: {relative_file_paths: {a: *a11}, custom_data: {b: *a11}}"
    (bag / "metadata.yaml").write_text("\n".join([*lines, inner]))
    _, (damage,) = read(bag)
    assert "to list its files under relative_file_paths, got a dict" in damage


@pytest.mark.parametrize(
    "content", ["", "a: [", "\0\1", "[]", "other: 1", "rosbag2_bagfile_information: {version: 8}", "\xff" * 10]
)
def test_a_damaged_metadata_file_is_named_and_the_files_are_read(tmp_path, content):
    bag = write_bag(tmp_path / "bag", 5)
    whole, _ = read(bag)
    (bag / "metadata.yaml").write_text(content, encoding="latin-1")
    messages, (damage,) = read(bag)
    assert messages == whole and str(bag / "metadata.yaml") in damage


def test_metadata_that_names_files_that_are_not_there_is_refused(tmp_path):
    bag = write_bag(tmp_path / "bag", 5)
    storage_file(bag).rename(bag / "renamed.mcap")
    assert re.search(r"names to be in the folder, got no bag.mcap; there is renamed.mcap", refused(bag))


def test_a_damaged_metadata_file_without_any_storage_file_is_refused(tmp_path):
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "metadata.yaml").write_text("a: [")
    assert "metadata.yaml to be the metadata of a rosbag2" in refused(tmp_path / "bag")


# Compression


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_file_compressed_with_zstd_that_is_cut_is_read_to_the_cut(tmp_path, storage):
    bag = write_bag(tmp_path / "bag", 40, storage=storage, compression="file", n_points=5000)
    whole, _ = read(bag)
    file = storage_file(bag)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    messages, damage = read(bag)
    assert messages == whole[: len(messages)] and len(messages) > 20
    assert any(str(file) in sentence and "zstd" in sentence for sentence in damage)


def test_unpacked_files_are_removed_again(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    bag = write_bag(tmp_path / "bag", 3, compression="file")
    with open_bag(bag):
        assert list(tmp_path.glob("pasco_bag_*"))
    assert not list(tmp_path.glob("pasco_bag_*"))


def test_an_unknown_compression_is_named(tmp_path):
    records = channel_records() + message_record(1, "word")
    file = tmp_path / "odd.mcap"
    file.write_bytes(mcap(chunk(records, 1, 1, b"brotli", b"??")))
    _, (damage,) = read(file)
    assert "odd.mcap" in damage and "unknown compression 'brotli'" in damage


# Types and topics


def test_an_unknown_schema_is_refused_with_file_topic_and_type(tmp_path):
    file = tmp_path / "own.mcap"
    file.write_bytes(mcap(channel_records(kind=b"my_robot/msg/Thing", schema=b"") + message_record(1, "x")))
    message = refused(file)
    assert "/log" in message and "own.mcap" in message and "my_robot/msg/Thing" in message


@pytest.mark.parametrize("schema", [b"no such grammar {", b"other_pkg/Missing field", b"uint32[99999999999999999] x["])
def test_a_definition_that_cannot_be_understood_is_refused_with_file_topic_and_type(tmp_path, schema):
    file = tmp_path / "own.mcap"
    file.write_bytes(mcap(channel_records(kind=b"my_robot/msg/Thing", schema=schema) + message_record(1, "x")))
    message = refused(file)
    assert "/log" in message and "own.mcap" in message and "my_robot/msg/Thing" in message


def test_messages_of_ros_1_in_an_mcap_are_refused(tmp_path):
    file = tmp_path / "one.mcap"
    file.write_bytes(mcap(channel_records(encoding=b"ros1") + message_record(1, "x")))
    assert re.search(r"topic /log in .*one.mcap to hold ROS 2 messages \(cdr\), got 'ros1'", refused(file))


def test_a_topic_with_two_types_is_refused(tmp_path):
    file = tmp_path / "two.mcap"
    body = channel_records() + channel_records(kind=b"std_msgs/msg/Int32", schema=b"int32 data", number=2)
    file.write_bytes(mcap(body + message_record(1, "x")))
    assert re.search(r"/log in .*two.mcap to have one type, got std_msgs/msg/String and std_msgs/m", refused(file))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_with_zero_messages_has_no_cloud(tmp_path, storage):
    bag = write_bag(tmp_path / "bag", 0, storage=storage)
    assert read(bag) == ([], ())
    with open_bag(bag) as reader:
        assert reader.start_time is None
        with pytest.raises(DataError, match=r"bag to have a cloud on /points, got no message"):
            find_cloud_topic(reader)


def test_a_topic_of_the_wrong_type_is_refused(tmp_path):
    with open_bag(write_bag(tmp_path / "bag", 1)) as reader, pytest.raises(
        DataError, match=rf"topic /log in .*bag to be of type {CLOUD}, got {LOG}"
    ):
        require_topic(reader, "/log", CLOUD)


def test_a_topic_that_is_not_in_the_bag_is_refused_with_those_that_are(tmp_path):
    with open_bag(write_bag(tmp_path / "bag", 1)) as reader, pytest.raises(
        DataError, match=r"topic /point to be in .*bag, got /log \(.*\), /points \(.*\); did you mean /points\?"
    ):
        next(reader.messages(["/point"]))


# No bags


def test_a_ros_1_bag_is_refused_with_the_way_to_convert_it(tmp_path):
    file = tmp_path / "drive.bag"
    file.write_bytes(b"#ROSBAG V2.0\n" + bytes(100))
    assert re.search(r"drive.bag to be a rosbag2, got a ROS 1 bag; rosbags-convert --src drive.bag", refused(file))
    assert "a ROS 1 bag" in refused(tmp_path)


@pytest.mark.parametrize("name", ["empty.mcap", "empty.db3", "empty"])
def test_an_empty_file_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    assert re.search(rf"{name} to be an MCAP or SQLite file, got an empty file", refused(tmp_path / name))


def test_a_file_that_is_no_bag_is_refused(tmp_path):
    (tmp_path / "notes.mcap").write_text("no bag at all")
    assert re.search(r"notes.mcap to be an MCAP or SQLite file, got a file that begins with b'no bag", refused(
        tmp_path / "notes.mcap"))


def test_an_sqlite_file_that_is_no_bag_is_refused(tmp_path):
    import sqlite3

    with sqlite3.connect(tmp_path / "other.db3") as database:
        database.execute("CREATE TABLE people (name TEXT)")
    assert re.search(r"other.db3 to have the tables topics and messages, got people", refused(tmp_path / "other.db3"))


def test_a_folder_that_is_no_bag_is_refused_and_a_bag_inside_it_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    assert "folder to be a rosbag2 folder" in refused(tmp_path / "folder")
    write_bag(tmp_path / "folder" / "drive", 1)
    assert "did you mean" in refused(tmp_path / "folder") and "drive" in refused(tmp_path / "folder")


def test_nothing_there_is_refused(tmp_path):
    assert re.search(r"bag .*nowhere to be a rosbag2 folder, an .mcap or a .db3 file, got nothing", refused(
        tmp_path / "nowhere"))


def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    file = storage_file(write_bag(tmp_path / "bag", 1))
    file.chmod(0)
    try:
        file.read_bytes()
    except PermissionError:
        assert "bag.mcap" in refused(file)
    else:
        pytest.skip("this user may read every file")


def test_an_imu_recording_has_no_cloud_topic(tmp_path, shared_data):
    with open_bag(shared_data / "rosbag2_os1" / "ros2_mcap") as reader, pytest.raises(DataError, match=IMU):
        require_topic(reader, "/os1_cloud_node/imu", CLOUD)


def test_a_db3_with_a_pending_journal_is_read_with_it(tmp_path):
    """A recorder that keeps a write-ahead log and was killed."""
    import sqlite3

    bag = write_messages(tmp_path / "bag", [("/log", LOG, START, text("one"))], "sqlite3")
    live, copy = storage_file(bag), tmp_path / "killed"
    copy.mkdir()
    database = sqlite3.connect(live)
    database.execute("PRAGMA journal_mode=WAL")
    columns = "(topic_id, timestamp, data) SELECT topic_id, timestamp + 1, data"
    database.execute(f"INSERT INTO messages {columns} FROM messages")
    database.commit()
    for path in bag.iterdir():
        shutil.copy(path, copy)
    database.close()
    assert (copy / "bag.db3-wal").stat().st_size > 0
    assert len(read(copy)[0]) == 2


def test_missing_packages_are_named_with_the_extra(tmp_path, monkeypatch):
    import sys

    bag = write_bag(tmp_path / "bag", 1)
    monkeypatch.setitem(sys.modules, "rosbags", None)
    with pytest.raises(ConfigError, match=r"packages for bags to be installed \(pip install 'pasco-ros\[bag\]'\)"):
        open_bag(bag)
