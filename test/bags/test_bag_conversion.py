"""A dataset becomes a bag and the bag a dataset again, exactly; interrupted runs go on; foreign bags come along."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bag_files import points_of, write_bag
from bag_messages import CLOUD, START, STORE, cloud, header, write_messages
from dataset_trees import SHAPE, kitti_360_voxels, raw_voxels, scan, write_kitti_360, write_semantic_kitti
from PIL import Image
from rosbags.highlevel import AnyReader

from pasco_core.cli import main
from pasco_core.data.bags import open_bag, to_bag
from pasco_core.data.datasets import Frame, open_dataset
from pasco_core.data.voxel_message import layer_values

IMAGE, INFO, TF = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo", "tf2_msgs/msg/TFMessage"
SAME_BYTES = ("velodyne/*.bin", "labels/*.label", "voxels/*", "times.txt")


def pixels_of(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (12, 40, 3), np.uint8)


def add_images(root: Path, sequence: str, indices: tuple[int, ...]) -> None:
    folder = root / "sequences" / sequence / "image_2"
    folder.mkdir()
    for index in indices:
        Image.fromarray(pixels_of(index)).save(folder / f"{index:06d}.png")


@pytest.fixture(scope="module")
def kitti(tmp_path_factory) -> Path:
    root = write_semantic_kitti(tmp_path_factory.mktemp("kitti"), ("08",), n_scans=7)
    add_images(root, "08", (0, 1, 4))
    return root


@pytest.fixture(scope="module")
def bag_of_kitti(kitti, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bags") / "drive"
    assert main(["data", "to-bag", str(kitti), str(out), "--sequence", "08"]) == 0
    return out


def assert_same_sequence(found: Path, expected: Path) -> None:
    """Files by bytes, images by pixels, poses and calibration within the digits of the source."""
    for pattern in SAME_BYTES:
        names = sorted(p.relative_to(expected) for p in expected.glob(pattern))
        assert names and names == sorted(p.relative_to(found) for p in found.glob(pattern))
        for name in names:
            assert (found / name).read_bytes() == (expected / name).read_bytes(), name
    images = sorted(p.name for p in (expected / "image_2").glob("*.png"))
    assert images == sorted(p.name for p in (found / "image_2").glob("*.png"))
    for name in images:
        pair = [np.asarray(Image.open(folder / "image_2" / name)) for folder in (found, expected)]
        np.testing.assert_array_equal(*pair)
    np.testing.assert_allclose(np.loadtxt(found / "poses.txt"), np.loadtxt(expected / "poses.txt"), atol=1e-9)
    calibrations = [
        {line.split(":")[0]: np.array(line.split(":")[1].split(), float) for line in lines.splitlines()}
        for lines in ((found / "calib.txt").read_text(), (expected / "calib.txt").read_text())
    ]
    assert calibrations[0].keys() == calibrations[1].keys()
    for name, numbers in calibrations[0].items():
        np.testing.assert_allclose(numbers, calibrations[1][name], atol=1e-9 if name == "Tr" else 0)


# There and back


def test_a_sequence_comes_back_from_a_bag_exactly(kitti, bag_of_kitti, tmp_path):
    assert main(["data", "from-bag", str(bag_of_kitti), str(tmp_path / "back")]) == 0
    assert_same_sequence(tmp_path / "back" / "sequences" / "08", kitti / "sequences" / "08")
    for index in (0, 5):
        ours, theirs = (open_dataset(root).truth(Frame("08", index)) for root in (tmp_path / "back", kitti))
        np.testing.assert_array_equal(ours.semantics, theirs.semantics)
        np.testing.assert_array_equal(ours.instances, theirs.instances)


@pytest.mark.parametrize(("storage", "metadata"), [("mcap", 9), ("sqlite3", 8), ("sqlite3", 9)])
def test_every_storage_and_metadata_version_comes_back(tmp_path, storage, metadata):
    root = write_semantic_kitti(tmp_path / "kitti", ("03",), n_scans=2)
    add_images(root, "03", (1,))
    out = tmp_path / "bag"
    options = ["--storage", storage, "--metadata", str(metadata)]
    assert main(["data", "to-bag", str(root), str(out), *options]) == 0
    assert f"version: {metadata}\n" in (out / "metadata.yaml").read_text()
    assert f"storage_identifier: {storage}\n" in (out / "metadata.yaml").read_text()
    assert main(["data", "from-bag", str(out), str(tmp_path / "back")]) == 0
    assert_same_sequence(tmp_path / "back" / "sequences" / "03", root / "sequences" / "03")


def test_rosbags_reads_what_is_written(kitti, bag_of_kitti):
    """An independent reader, with the definitions that are in the bag alone."""
    with AnyReader([bag_of_kitti]) as reader:
        assert reader.readers[0].storage.metadata.custom == {"pasco_sequence": "08", "pasco_frames": "0-6"}
        counts = {name: topic.msgcount for name, topic in reader.topics.items()}
        assert counts == {
            "/velodyne_points": 7, "/camera_2/image_rect": 3, "/tf": 7, "/odom": 7, "/tf_static": 1, "/truth/voxels": 2,
            **{f"/camera_{i}/camera_info": 7 for i in range(4)},
        }
        for connection, _, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            if connection.topic == "/velodyne_points":
                assert message.header.frame_id == "velodyne"
                assert [f.name for f in message.fields] == ["x", "y", "z", "intensity", "label"]
                index = round((message.header.stamp.sec - 10**9 + message.header.stamp.nanosec / 1e9) * 10)
                rows = np.frombuffer(message.data, [("point", "<f4", 4), ("label", "<u4")])
                np.testing.assert_array_equal(rows["point"], scan(index))
                assert rows["label"].tolist() == [0] * 5 + [40 | 7 << 16] * 15
            elif connection.topic == "/truth/voxels":
                check_truth(message)
            elif connection.topic == "/tf_static":
                (transform,) = message.transforms
                assert (transform.header.frame_id, transform.child_frame_id) == ("velodyne", "camera_0_optical_frame")


def test_topics_are_declared_for_what_the_frames_have_alone(tmp_path):
    root = write_semantic_kitti(tmp_path / "kitti", ("00",), n_scans=2)
    for name in ("calib.txt", "poses.txt"):
        (root / "sequences" / "00" / name).unlink()
    shutil.rmtree(root / "sequences" / "00" / "voxels")
    for storage in ("mcap", "sqlite3"):
        assert main(["data", "to-bag", str(root), str(tmp_path / storage), "--storage", storage]) == 0
        with AnyReader([tmp_path / storage]) as reader:
            assert {name: topic.msgcount for name, topic in reader.topics.items()} == {"/velodyne_points": 2}
        assert "/camera" not in (tmp_path / storage / "metadata.yaml").read_text()


def test_labels_in_another_layout_are_refused_before_a_bag_is_begun(tmp_path, capsys):
    root, other = write_semantic_kitti(tmp_path / "kitti", ("00",), n_scans=1), write_kitti_360(tmp_path / "t360")
    assert main(["data", "to-bag", str(root), str(tmp_path / "bag"), "--truth-root", str(other)]) == 1
    error = capsys.readouterr().err
    assert f"labels {other} to be in the layout of {root}, SemanticKITTI, got SSCBench-KITTI-360" in error
    assert error.count("\n") == 1 and not (tmp_path / "bag").exists()


def check_truth(message) -> None:
    """The layers the node publishes, and SemanticKITTI's own values beside them."""
    assert (message.header.frame_id, message.label_set) == ("velodyne", "SemanticKITTI")
    assert (message.size_x, message.size_y, message.size_z) == SHAPE
    assert message.origin.position.y == pytest.approx(-25.6)
    layers = {layer.name: np.frombuffer(layer.data, {2: "u1", 4: "<u2"}[layer.encoding]) for layer in message.layers}
    semantics, instance = layers["semantics"].reshape(SHAPE), layers["instance"].reshape(SHAPE)
    assert set(np.unique(semantics)) == {0, 1, 6, 9, 255}
    assert (semantics[200:] == 255).all() and (instance[200:] == 65535).all()
    assert (semantics[20:23, 110:112, 6:8] == 1).all() and len(np.unique(instance[20:23, 110:112, 6:8])) == 1
    np.testing.assert_array_equal(layers["raw_label"].reshape(SHAPE), raw_voxels())
    np.testing.assert_array_equal(layers["input"].reshape(SHAPE), raw_voxels() > 0)


def test_poses_in_tf_are_those_of_the_dataset(kitti, bag_of_kitti):
    """The camera of this dataset drives along its z axis, which is the LiDAR's x axis, one metre per scan."""
    with open_bag(bag_of_kitti) as reader:
        moves = [message.transforms[0].transform.translation for _, _, message in reader.messages(["/tf"])]
    np.testing.assert_allclose([[m.x, m.y, m.z] for m in moves], [[i, 0, 0] for i in range(7)], atol=1e-12)


def test_frames_keep_their_numbers_where_some_are_missing(tmp_path):
    root = write_semantic_kitti(tmp_path / "kitti", ("00",), n_scans=8)
    folder = root / "sequences" / "00"
    for index in (1, 2, 4, 6):
        (folder / "velodyne" / f"{index:06d}.bin").unlink()
        (folder / "labels" / f"{index:06d}.label").unlink()
    (folder / "image_2").mkdir()
    assert main(["data", "to-bag", str(root), str(tmp_path / "bag")]) == 0
    assert main(["data", "from-bag", str(tmp_path / "bag"), str(tmp_path / "back")]) == 0
    assert_same_sequence(tmp_path / "back" / "sequences" / "00", folder)


def test_kitti_360_becomes_a_bag_and_semantic_kitti(tmp_path, capsys):
    root = write_kitti_360(tmp_path / "k360", ("0009",))
    images = root / "data_2d_raw" / "2013_05_28_drive_0009_sync" / "image_00" / "data_rect"
    images.mkdir(parents=True)
    Image.fromarray(pixels_of(3)).save(images / "0000000010.png")
    assert main(["data", "to-bag", str(root), str(tmp_path / "bag"), "--sequence", "0009"]) == 0
    assert main(["data", "from-bag", str(tmp_path / "bag"), str(tmp_path / "back")]) == 0
    back = open_dataset(tmp_path / "back")
    for frame, raw in ((Frame("09", 0), 4), (Frame("09", 5), 10)):
        np.testing.assert_array_equal(back.points(frame), scan(raw))
        expected = kitti_360_voxels()
        expected[expected == 7] = 9  # road
        np.testing.assert_array_equal(back.voxel_classes(frame), expected)
    np.testing.assert_array_equal(back.image(Frame("09", 5)), pixels_of(3))
    assert "no poses.txt" in capsys.readouterr().out


def test_a_simulated_towns_layout_with_truth_elsewhere_is_taken(kitti, tmp_path):
    """Scans in a folder that has no voxels, truth in another."""
    truth = tmp_path / "truth" / "sequences"
    truth.mkdir(parents=True)
    scans = write_semantic_kitti(tmp_path / "scans", ("08",), n_scans=1)
    (scans / "sequences" / "08" / "voxels").rename(tmp_path / "voxels")
    (truth / "08").mkdir()
    (tmp_path / "voxels").rename(truth / "08" / "voxels")
    options = ["--truth-root", str(tmp_path / "truth")]
    assert main(["data", "to-bag", str(scans), str(tmp_path / "bag"), *options]) == 0
    with open_bag(tmp_path / "bag") as reader:
        ((_, _, grid),) = reader.messages(["/truth/voxels"])
    assert set(np.unique(layer_values(grid, "semantics")[0])) == {0, 1, 6, 9, 255}


# Going on


def test_an_interrupted_bag_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(to_bag, "FRAMES_PER_FILE", 2)
    root = write_semantic_kitti(tmp_path / "kitti", ("00",), n_scans=5)
    broken = root / "sequences" / "00" / "velodyne" / "000003.bin"
    content = broken.read_bytes()
    broken.write_bytes(content[:-3])
    arguments = ["data", "to-bag", str(root), str(tmp_path / "bag"), "--json"]
    assert main(arguments) == 1
    assert "000003.bin" in capsys.readouterr().err
    first = tmp_path / "bag" / "bag_0.mcap"
    written = first.stat().st_mtime_ns
    assert sorted(p.name for p in (tmp_path / "bag").glob("*")) == [".bag_0.yaml", ".to_bag.json", "bag_0.mcap"]
    broken.write_bytes(content)
    to_bag._opened.cache_clear()
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == {"written": 3, "there_already": 2}
    assert first.stat().st_mtime_ns == written
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == {"written": 0, "there_already": 5}
    assert main(["data", "to-bag", str(root), str(tmp_path / "once")]) == 0
    bags = []
    for name in ("bag", "once"):
        with open_bag(tmp_path / name) as reader:
            assert reader.damage == ()
            bags.append(list(reader.raw_messages()))
    assert bags[0] == bags[1]
    with AnyReader([tmp_path / "bag"]) as reader:
        assert reader.topics["/velodyne_points"].msgcount == sum(1 for c, _, _ in reader.messages()
                                                                if c.topic == "/velodyne_points") == 5


def test_a_bag_is_not_continued_with_another_format_and_nothing_else_is_touched(kitti, bag_of_kitti, tmp_path, capsys):
    assert main(["data", "to-bag", str(kitti), str(bag_of_kitti), "--storage", "sqlite3"]) == 2
    assert "to be continued with storage 'mcap', got 'sqlite3'" in capsys.readouterr().err
    (tmp_path / "mine.txt").touch()
    assert main(["data", "to-bag", str(kitti), str(tmp_path)]) == 2
    assert "mine.txt" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_bag_is_not_continued_after_its_dataset_has_grown(tmp_path, capsys):
    root = write_semantic_kitti(tmp_path / "kitti", ("00",), n_scans=2)
    assert main(["data", "to-bag", str(root), str(tmp_path / "bag")]) == 0
    scan(9).tofile(root / "sequences" / "00" / "velodyne" / "000002.bin")
    assert main(["data", "to-bag", str(root), str(tmp_path / "bag")]) == 2
    assert "to be continued with frames '0-1', got '0-2'" in capsys.readouterr().err


@pytest.mark.parametrize("frames", ["0-99999999999", "5,4", "x", "0", "-1"])
def test_frame_numbers_of_a_bag_are_checked(bag_of_kitti, tmp_path, capsys, frames):
    copy = tmp_path / "bag"
    shutil.copytree(bag_of_kitti, copy)
    text = (copy / "metadata.yaml").read_text()
    (copy / "metadata.yaml").write_text(text.replace("pasco_frames: '0-6'", f"pasco_frames: '{frames}'"))
    assert main(["data", "from-bag", str(copy), str(tmp_path / "out")]) == 1
    assert "to number its 7 clouds, got" in capsys.readouterr().err


def test_a_bag_does_not_choose_where_files_go(bag_of_kitti, tmp_path):
    copy = tmp_path / "bag"
    shutil.copytree(bag_of_kitti, copy)
    text = (copy / "metadata.yaml").read_text()
    (copy / "metadata.yaml").write_text(text.replace("pasco_sequence: '08'", "pasco_sequence: '../../evil'"))
    assert main(["data", "from-bag", str(copy), str(tmp_path / "out")]) == 0
    assert open_dataset(tmp_path / "out").sequences() == ("00",) and not (tmp_path / "evil").exists()


def test_scans_that_are_there_are_not_written_again(bag_of_kitti, tmp_path, capsys):
    arguments = ["data", "from-bag", str(bag_of_kitti), str(tmp_path), "--json"]
    assert main(arguments) == 0
    capsys.readouterr()
    folder = tmp_path / "sequences" / "08" / "velodyne"
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    (folder / "000002.bin").unlink()
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == {"written": 1, "there_already": 6}
    after = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"000002.bin"}
    np.testing.assert_array_equal(open_dataset(tmp_path).points(Frame("08", 2)), scan(2))


def test_another_bag_is_not_written_into_the_same_sequence(bag_of_kitti, tmp_path, capsys):
    other = write_bag(tmp_path / "other", 2)
    assert main(["data", "from-bag", str(other), str(tmp_path / "out")]) == 0
    again = write_bag(tmp_path / "again", 2)
    assert main(["data", "from-bag", str(again), str(tmp_path / "out")]) == 2
    assert "--sequence names another" in capsys.readouterr().err
    assert main(["data", "from-bag", str(again), str(tmp_path / "out"), "--sequence", "01"]) == 0
    assert open_dataset(tmp_path / "out").sequences() == ("00", "01")


def test_a_truncated_bag_is_converted_to_its_last_whole_message(kitti, bag_of_kitti, tmp_path, capsys):
    (file,) = bag_of_kitti.glob("*.mcap")
    (tmp_path / "cut.mcap").write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    arguments = ["data", "from-bag", str(tmp_path / "cut.mcap"), str(tmp_path / "out"), "--sequence", "08", "--json"]
    assert main(arguments) == 0
    values = json.loads(capsys.readouterr().out)
    assert 0 < values["frames"]["written"] < 7
    assert any("cut.mcap to be whole" in sentence for sentence in values["damage"])
    for path in (tmp_path / "out" / "sequences" / "08" / "labels").iterdir():
        assert path.read_bytes() == (kitti / "sequences" / "08" / "labels" / path.name).read_bytes()


@pytest.mark.parametrize("share", [0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.99])
def test_a_bag_that_was_cut_begins_as_the_whole_bag_and_keeps_its_calibration(bag_of_kitti, kitti, tmp_path, share):
    with open_bag(bag_of_kitti) as reader:
        whole = list(reader.raw_messages())
    bag = shutil.copytree(bag_of_kitti, tmp_path / "cut")
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with open_bag(bag) as reader:
        assert list(reader.raw_messages()) == whole[: sum(topic.count for topic in reader.topics.values())]
    assert main(["data", "from-bag", str(bag), str(tmp_path / "back")]) == 0
    found, expected = (root / "sequences" / "08" for root in (tmp_path / "back", kitti))
    numbers = [np.loadtxt(folder / "calib.txt", usecols=range(1, 13)) for folder in (found, expected)]
    np.testing.assert_allclose(*numbers, atol=1e-9)
    truths = sorted(path.name for path in (found / "voxels").glob("*.label"))
    assert truths == sorted(path.name for path in (expected / "voxels").glob("*.label"))[: len(truths)] != []


def test_a_bag_that_was_cut_among_its_indices_has_as_many_messages_as_it_counts(bag_of_kitti, tmp_path):
    (file,) = bag_of_kitti.glob("*.mcap")
    content, counted = file.read_bytes(), set()
    for size in range(int(0.4 * len(content)), int(0.6 * len(content)), 331):
        (tmp_path / "cut.mcap").write_bytes(content[:size])
        with open_bag(tmp_path / "cut.mcap") as reader:
            n_read = len(list(reader.raw_messages()))
            assert n_read == sum(topic.count for topic in reader.topics.values()) > 0
            counted.add(n_read)
    with open_bag(bag_of_kitti) as reader:
        assert max(counted) == sum(topic.count for topic in reader.topics.values())


# Foreign bags


def transform(time: int, x: float, yaw: float, parent: str = "odom", child: str = "base_link"):
    types, (z, w) = STORE.types, (float(np.sin(yaw / 2)), float(np.cos(yaw / 2)))
    value = types["geometry_msgs/msg/Transform"](
        translation=types["geometry_msgs/msg/Vector3"](x=x, y=0.0, z=0.0),
        rotation=types["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=z, w=w),
    )
    stamped = types["geometry_msgs/msg/TransformStamped"](
        header=header(time, parent), child_frame_id=child, transform=value
    )
    return types[TF](transforms=[stamped])


def camera_info(time: int):
    region = STORE.types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return STORE.types[INFO](
        header=header(time, "camera"), height=4, width=6, distortion_model="plumb_bob", d=np.zeros(5),
        k=np.eye(3).reshape(-1), r=np.eye(3).reshape(-1), p=np.arange(12.0), binning_x=0, binning_y=0, roi=region,
    )


def image(time: int, value: int, encoding: str = "bgr8"):
    data = np.zeros((4, 20), np.uint8)  # rows of 6 pixels with 2 bytes of padding
    data[:, 0:18:3] = value
    return STORE.types[IMAGE](header=header(time, "camera"), height=4, width=6, encoding=encoding, is_bigendian=0,
                              step=20, data=data.reshape(-1))


@pytest.fixture
def foreign_bag(tmp_path) -> Path:
    """A robot that drives and turns evenly; odometry at 50 Hz, clouds at 10 Hz between its samples, images later."""
    messages = [
        ("/tf_static", TF, START, transform(START, 2.0, 0.0, "base_link", "lidar")),
        ("/tf_static", TF, START, transform(START, -0.5, 0.0, "lidar", "camera")),
        ("/cam/camera_info", INFO, START, camera_info(START)),
    ]
    for i in range(60):
        time = START + i * 2 * 10**7
        messages.append(("/tf", TF, time + 10**6, transform(time, 0.1 * i, 0.02 * i)))
    for i in range(10):
        time = START + i * 10**8 + 5 * 10**6
        messages.append(("/points", CLOUD, time + 2 * 10**6, cloud(time, points_of(i))))
        messages.append(("/cam/image", IMAGE, time + 3 * 10**7, image(time + 2 * 10**7, i)))
    return write_messages(tmp_path / "robot", sorted(messages, key=lambda m: m[2]))


def test_a_foreign_bags_poses_are_interpolated_to_its_clouds(foreign_bag, tmp_path):
    assert main(["data", "from-bag", str(foreign_bag), str(tmp_path / "out")]) == 0
    dataset = open_dataset(tmp_path / "out")
    expected = []
    for i in range(10):
        share = (i * 10**8 + 5 * 10**6) / (2 * 10**7)
        c, s = np.cos(0.02 * share), np.sin(0.02 * share)
        pose = np.array([[c, -s, 0, 0.1 * share], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        expected.append(pose @ np.array([[1, 0, 0, 2.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    expected = np.linalg.inv(expected[0]) @ np.stack(expected)
    np.testing.assert_allclose(dataset.poses("00"), expected, atol=1e-9)
    np.testing.assert_allclose(dataset.times("00"), np.arange(10) / 10, atol=1e-9)


def test_a_foreign_bags_camera_and_images_come_along(foreign_bag, tmp_path):
    assert main(["data", "from-bag", str(foreign_bag), str(tmp_path / "out")]) == 0
    dataset = open_dataset(tmp_path / "out")
    for i in range(10):
        picture = dataset.image(Frame("00", i))
        assert picture.shape == (4, 6, 3) and (picture == [0, 0, i]).all()
        np.testing.assert_array_equal(dataset.points(Frame("00", i)), points_of(i))
    calibration = dataset.calibration("00")
    np.testing.assert_array_equal(calibration.p2, np.arange(12.0).reshape(3, 4))
    np.testing.assert_allclose(calibration.tr[:3, 3], [0.5, 0, 0], atol=1e-12)


def test_transforms_that_end_early_leave_the_poses_out_and_say_so(tmp_path, capsys):
    times = [START + i * 10**7 for i in range(9)]
    messages = [("/tf", TF, time, transform(time, 1.0, 0, child="lidar")) for time in times]
    messages += [("/points", CLOUD, START + i * 10**9, cloud(START + i * 10**9, points_of(i))) for i in range(3)]
    bag = write_messages(tmp_path / "bag", sorted(messages, key=lambda m: m[2]))
    assert main(["data", "from-bag", str(bag), str(tmp_path / "out")]) == 0
    assert "no poses.txt: 2 of 3 clouds lie outside the time of the transforms to 'lidar'" in capsys.readouterr().out
    assert not (tmp_path / "out" / "sequences" / "00" / "poses.txt").exists()


def test_images_of_an_encoding_nobody_knows_are_refused_by_topic(tmp_path, capsys):
    messages = [("/points", CLOUD, START, cloud(START, points_of(0))),
                ("/cam", IMAGE, START + 1, image(START, 1, "12UC7"))]
    bag = write_messages(tmp_path / "bag", messages)
    assert main(["data", "from-bag", str(bag), str(tmp_path / "out")]) == 1
    assert "the image on /cam to be one of rgb8" in capsys.readouterr().err


def test_a_malformed_cloud_is_refused_by_topic_time_and_bag(tmp_path, capsys):
    odd = cloud(START, points_of(0))
    odd.width = 600
    bag = write_messages(tmp_path / "bag", [("/points", CLOUD, START, odd)])
    assert main(["data", "from-bag", str(bag), str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert f"/points at {START} ns" in error and str(bag) in error


def test_a_cloud_without_points_becomes_an_empty_scan(tmp_path, capsys):
    messages = [("/points", CLOUD, START + i, cloud(START + i, points_of(i, n))) for i, n in enumerate((10, 0, 10))]
    bag = write_messages(tmp_path / "bag", messages)
    assert main(["data", "from-bag", str(bag), str(tmp_path / "out")]) == 0
    sizes = [p.stat().st_size for p in sorted((tmp_path / "out" / "sequences" / "00" / "velodyne").iterdir())]
    assert sizes == [160, 0, 160]


@pytest.mark.parametrize(("options", "code", "said"), [
    (["--topic", "/pints"], 1, "did you mean /points?"),
    (["--topic", "/log"], 1, "to be of type sensor_msgs/msg/PointCloud2, got std_msgs/msg/String"),
    (["--image-topic", "/points"], 1, "to be of type sensor_msgs/msg/Image or"),
    (["--sequence", "a"], 2, "--sequence to be two digits, such as 00, got 'a'"),
])
def test_wrong_options_are_one_line(tmp_path, capsys, options, code, said):
    bag = write_bag(tmp_path / "bag", 1)
    assert main(["data", "from-bag", str(bag), str(tmp_path / "out"), *options]) == code
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_the_real_ouster_recording_becomes_a_dataset(shared_data, tmp_path, capsys):
    bag = shared_data / "rosbag2_os1" / "ros2_mcap"
    assert main(["data", "from-bag", str(bag), str(tmp_path), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["topic"] == "/os1_cloud_node/points" and values["frames"]["written"] == 2
    dataset = open_dataset(tmp_path)
    kept = 0
    for frame in dataset.frames(with_truth=False):
        points = dataset.points(frame)
        kept += len(points)
        assert np.linalg.norm(points[:, :3], axis=1).min() >= 0.1 and 0 <= points[:, 3].min() <= points[:, 3].max() <= 1
    assert kept + values["points_left_out"] == 2 * 64 * 2048
    assert any("intensity" in note for note in values["notes"])


def test_a_real_sequence_comes_back_exactly(shared_data, tmp_path):
    root = shared_data / "semantickitti" / "dataset" / "sequences" / "00"
    part = tmp_path / "kitti" / "sequences" / "00"
    for name in ("velodyne", "labels", "voxels", "image_2"):
        (part / name).mkdir(parents=True)
        for source in (root / name).glob("000000.*"):
            (part / name / source.name).write_bytes(source.read_bytes())
    for name in ("calib.txt", "poses.txt", "times.txt"):
        lines = (root / name).read_text().splitlines(keepends=True)
        (part / name).write_text("".join(lines if name == "calib.txt" else lines[:1]))
    assert main(["data", "to-bag", str(tmp_path / "kitti"), str(tmp_path / "bag")]) == 0
    assert main(["data", "from-bag", str(tmp_path / "bag"), str(tmp_path / "back")]) == 0
    back = tmp_path / "back" / "sequences" / "00"
    for pattern in SAME_BYTES:
        for path in part.glob(pattern):
            assert (back / path.relative_to(part)).read_bytes() == path.read_bytes()
    # The six digits of poses.txt and the seven of Tr leave rotations not quite orthonormal; quaternions are.
    np.testing.assert_allclose(np.loadtxt(back / "poses.txt"), np.loadtxt(part / "poses.txt"), atol=1e-6)
    images = [np.asarray(Image.open(folder / "image_2" / "000000.png")) for folder in (back, part)]
    np.testing.assert_array_equal(*images)
