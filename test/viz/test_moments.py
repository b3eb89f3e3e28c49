"""What a path is: scenes, scans, folders, datasets and bags, each read as far as it is shown."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pasco_core.cli import main
from pasco_core.data.bags import open_bag
from pasco_core.data.frame import VoxelTruth
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import ConfigError, DataError
from pasco_core.geometry import VoxelGrid
from pasco_core.prediction import ScenePrediction, Segment
from pasco_core.prediction_file import save_prediction
from pasco_core.viz.moments import Wanted, open_moments, true_scene
from pasco_core.viz.recording import write_recording
from pasco_core.viz.window import show_moment

sys.path.insert(0, str(Path(__file__).parent.parent / "datasets"))
from dataset_trees import TR, write_semantic_kitti

GRID = VoxelGrid((0.0, -0.8, -0.4), 0.2, (16, 8, 4))


def small_scene() -> ScenePrediction:
    """A car of 6 voxels on a road of 128."""
    semantics, panoptic = np.zeros(GRID.shape, np.uint8), np.zeros(GRID.shape, np.int32)
    semantics[:, :, 0], panoptic[:, :, 0] = 9, 1
    semantics[4:7, 2:4, 1], panoptic[4:7, 2:4, 1] = 1, 2
    voxels = np.flatnonzero(semantics)
    probabilities = np.full((len(voxels), 20), 0.05, np.float32)
    sure = np.zeros(21, np.float32)
    return ScenePrediction(
        GRID, SEMANTIC_KITTI, semantics, panoptic, [Segment(1, 9, False, 0.75, sure, 0, 128),
        Segment(2, 1, True, 0.5, sure, 1, 6)], np.full(GRID.shape, 0.25, np.float32), np.ones(GRID.shape, np.float32),
        voxels, probabilities,
    )  # fmt: skip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_semantic_kitti(tmp_path_factory.mktemp("data") / "kitti", ("00", "08"), n_scans=6)
    images = root / "sequences" / "08" / "image_2"
    images.mkdir()
    for number in range(6):
        Image.new("RGB", (320, 120), (number, 100, 200)).save(images / f"{number:06d}.png")
    return root


def all_of(path: Path, wanted: Wanted | None = None, **options) -> list:
    moments = open_moments(path, wanted or Wanted(), **options)
    return list(moments.take(range(moments.count)))


def test_a_scene_file_is_one_moment_with_the_scan_that_is_named(tmp_path: Path):
    folder = tmp_path / "000007"
    folder.mkdir()
    save_prediction(folder / "scene.npz", small_scene())
    np.ones((5, 4), "<f4").tofile(tmp_path / "scan.bin")
    (alone,) = all_of(folder / "scene.npz")
    assert (alone.name, alone.points) == ("000007", None)
    assert np.array_equal(alone.scene.semantics, small_scene().semantics)
    (both,) = all_of(folder / "scene.npz", scan=tmp_path / "scan.bin")
    assert both.points.shape == (5, 4)


def test_a_folder_holds_scans_or_scenes_in_the_order_of_their_names(tmp_path: Path):
    for number in (2, 0, 1):
        np.full((number + 1, 4), 1, "<f4").tofile(tmp_path / f"{number}.bin")
    assert [(m.name, len(m.points)) for m in all_of(tmp_path)] == [("0.bin", 1), ("1.bin", 2), ("2.bin", 3)]
    for name in ("b", "a"):
        (tmp_path / "infer" / name).mkdir(parents=True)
        save_prediction(tmp_path / "infer" / name / "scene.npz", small_scene())
    assert [m.name for m in all_of(tmp_path / "infer")] == ["a", "b"]


def test_who_opens_a_sequence_or_wants_truth_where_there_is_none_is_told_what_works(tmp_path: Path):
    root = write_semantic_kitti(tmp_path, ("00",), n_scans=1)
    with pytest.raises(DataError, match=r"got neither; of a dataset give the root, and --sequence 00$"):
        open_moments(root / "sequences" / "00", Wanted())
    shutil.rmtree(root / "sequences" / "00" / "voxels")
    with pytest.raises(DataError, match=r"to hold voxel labels .*; --show input shows the scans alone$"):
        open_moments(root, Wanted())


def test_images_are_asked_of_what_can_have_them(tmp_path: Path):
    save_prediction(tmp_path / "scene.npz", small_scene())
    for path, kind in ((tmp_path / "scene.npz", "scene"), (tmp_path, "folder")):
        with pytest.raises(DataError, match=rf"to be a dataset or a bag, which can have images, got a {kind}"):
            open_moments(path, Wanted(image=True))


def test_a_folder_with_both_or_neither_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"either scenes \(\.npz\) or scans .*, got neither"):
        all_of(tmp_path)
    np.ones((1, 4), "<f4").tofile(tmp_path / "a.bin")
    save_prediction(tmp_path / "a.npz", small_scene())
    with pytest.raises(DataError, match="got both"):
        all_of(tmp_path)


def test_a_sequence_of_a_dataset_shows_its_truth_with_unknown_voxels_unknown(dataset: Path):
    first, second = all_of(dataset, sequence="08")
    assert (first.name, second.name, first.is_truth) == ("08/000000", "08/000005", True)
    assert len(first.points) == 20
    assert (first.scene.semantics[200:] == 255).all()
    assert (first.scene.semantics[20:23, 110:112, 6:8] == 1).all()
    assert first.image is None


def test_scans_without_truth_are_shown_where_only_the_input_is_wanted(dataset: Path):
    moments = all_of(dataset, Wanted(scene=False), sequence="08")
    assert len(moments) == 6
    assert all(moment.scene is None for moment in moments)


def test_predictions_take_the_place_of_the_truth(dataset: Path, tmp_path: Path):
    (tmp_path / "08").mkdir()
    save_prediction(tmp_path / "08" / "000003.npz", small_scene())
    (moment,) = all_of(dataset, sequence="08", predictions=tmp_path)
    assert (moment.name, moment.is_truth, moment.grid) == ("08/000003", False, GRID)
    with pytest.raises(DataError, match=r"00 to hold predictions of the dataset's scans, NUMBER\.npz, got none"):
        all_of(dataset, sequence="00", predictions=tmp_path)


def test_an_image_is_posed_as_the_calibration_says(dataset: Path):
    image = all_of(dataset, Wanted(scene=False, image=True), sequence="08")[4].image
    assert image.rgb[0, 0].tolist() == [4, 100, 200]
    point = np.array([[12.0, 2.0, -1.0]])
    camera = TR[:, :3] @ point[0] + TR[:, 3]
    u, v, w = np.array([[700, 0, 600, 45], [0, 700, 180, 0.2], [0, 0, 1, 0.003]]) @ [*camera, 1]
    pixel, depth = image.project(point)
    assert pixel[0] == pytest.approx([u / w, v / w], abs=1e-6)
    assert depth[0] == pytest.approx(w, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "--sequence to name one of 00, 08, got none"),
        ({"sequence": "09"}, "sequence '09' to be in"),
        ({"sequence": "08", "topic": "/points"}, "--topic to come with a bag, got .*, a dataset"),
        ({"sequence": "08", "scan": "a.bin"}, "--scan to come with one scene"),
    ],
)
def test_options_that_do_not_fit_a_dataset_are_refused(dataset: Path, options: dict, message: str):
    with pytest.raises((ConfigError, DataError), match=message):
        all_of(dataset, **options)


def test_a_path_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"gone\.npz to be a scene, scan, folder of these, dataset or bag, got nothing"):
        all_of(tmp_path / "gone.npz")


def test_true_voxels_that_are_unknown_stay_unknown():
    semantics = np.zeros(GRID.shape, np.uint8)
    semantics[0], semantics[1] = 255, 9
    scene = true_scene(VoxelTruth(semantics, np.zeros(GRID.shape, np.uint16)), SEMANTIC_KITTI, GRID)
    assert np.array_equal(scene.semantics, semantics)


def bag_of(dataset: Path, folder: Path) -> Path:
    """The dataset's sequence 08 as a bag."""
    pytest.importorskip("rosbags", reason="rosbags is not installed: run `make setup`")
    from pasco_core.cli import main

    assert main(["data", "to-bag", str(dataset), str(folder), "--sequence", "08", "--json"]) == 0
    return folder


@pytest.fixture(scope="module")
def bag(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bag_of(dataset, tmp_path_factory.mktemp("bags") / "drive")


def test_a_bag_shows_what_its_dataset_shows(dataset: Path, bag: Path):
    for wanted in (Wanted(image=True), Wanted(scene=False, image=True)):
        ours, theirs = all_of(bag, wanted), all_of(dataset, wanted, sequence="08")
        assert len(ours) == len(theirs) > 1
        for moment, frame in zip(ours, theirs, strict=True):
            assert np.array_equal(moment.points, frame.points)
            assert np.array_equal(moment.image.rgb, frame.image.rgb)
            spot = np.array([[12.0, 2.0, -1.0]])
            assert np.allclose(moment.image.project(spot)[0], frame.image.project(spot)[0], atol=1e-6)
            if wanted.scene:
                assert moment.is_truth
                assert np.array_equal(moment.scene.semantics, frame.scene.semantics)
                assert np.array_equal(moment.scene.panoptic, frame.scene.panoptic)


def test_only_the_chosen_messages_of_a_bag_are_shown(bag: Path):
    moments = open_moments(bag, Wanted(scene=False))
    chosen = list(moments.take(range(1, 6, 2)))
    assert [moment.name for moment in chosen] == [f"drive · {n} of 6 · {0.1 * (n - 1):.1f} s" for n in (2, 4, 6)]


def test_a_topic_of_another_type_is_refused(bag: Path):
    with pytest.raises(DataError, match="to be of type pasco/msg/VoxelGrid or sensor_msgs/msg/PointCloud2"):
        open_moments(bag, Wanted(), topic="/tf")


def test_the_scenes_of_the_node_are_read_back_from_its_messages(tmp_path: Path):
    pytest.importorskip("rosbags", reason="rosbags is not installed: run `make setup`")
    from pasco_core.data.bags.message_classes import message_classes
    from pasco_core.data.bags.writer import BagTopic, BagWriter
    from pasco_core.messages import scene_messages as make
    from pasco_core.messages.message_types import MESSAGE_TYPES

    scene, types = small_scene(), message_classes(MESSAGE_TYPES)
    kinds = {"/node/voxels": "VoxelGrid", "/node/segments": "SegmentArray"}
    topics = [BagTopic(name, MESSAGE_TYPES[kind]) for name, kind in kinds.items()]
    layers = ("semantics", "instance", "occupancy_probability", "uncertainty")
    with BagWriter(tmp_path / "bag", topics) as writer:
        for number in range(3):
            header = types.Header(stamp=types.Time(sec=100 + number), frame_id="velodyne")
            time = (100 + number) * 10**9
            # The segments come before the voxels, or after.
            messages = [("/node/voxels", make.voxel_grid_message(types, scene, header, "w", layers)),
                        ("/node/segments", make.segment_array_message(types, scene, header, "w"))]
            for topic, message in messages[:: -1 if number == 1 else 1]:
                writer.write(topic, time, message)
    moments = all_of(tmp_path / "bag")
    assert len(moments) == 3
    for moment in moments:
        assert not moment.is_truth
        assert np.array_equal(moment.scene.semantics, scene.semantics)
        assert [s.id for s in moment.scene.segments] == [1, 2]
        assert np.allclose(moment.scene.voxel_uncertainty, 0.25, atol=0.005)


def bag_with_cameras(folder: Path, cameras: dict[str, tuple[str, int]]) -> Path:
    """Three clouds, and of each camera an image of each cloud's time in one grey.

    Args:
        folder: of the bag.
        cameras: image topic -> topic of the calibration ("": none), and grey.
    """
    pytest.importorskip("rosbags", reason="rosbags is not installed: run `make setup`")
    from pasco_core.data.bags.message_classes import message_classes
    from pasco_core.data.bags.writer import BagTopic, BagWriter
    from pasco_core.messages import scene_messages as make

    names = {"Header": "std_msgs/msg/Header", "Time": "builtin_interfaces/msg/Time", "Image": "sensor_msgs/msg/Image",
             "PointCloud2": "sensor_msgs/msg/PointCloud2", "PointField": "sensor_msgs/msg/PointField",
             "CameraInfo": "sensor_msgs/msg/CameraInfo"}
    types = message_classes(names)
    kinds = {"/points": "PointCloud2"} | dict.fromkeys(cameras, "Image")
    kinds |= {info: "CameraInfo" for info, _ in cameras.values() if info}
    with BagWriter(folder, [BagTopic(topic, names[kind]) for topic, kind in kinds.items()]) as writer:
        for number in range(3):
            time = (100 + number) * 10**9
            header = types.Header(stamp=types.Time(sec=100 + number), frame_id="velodyne")
            writer.write("/points", time, make.cloud_message(types, np.ones((5, 4), np.float32), header))
            for topic, (info, grey) in cameras.items():
                pixels = np.full((6, 8, 3), grey, np.uint8).tobytes()
                writer.write(topic, time, types.Image(header=header, height=6, width=8, encoding="rgb8", step=24,
                                                      data=pixels))
                if info:
                    writer.write(info, time, types.CameraInfo(
                        header=header, height=6, width=8, k=[5.0, 0, 4, 0, 5, 3, 0, 0, 1]))
    return folder


TWO_CAMERAS = {"/left/image_raw": ("/left/camera_info", 10), "/right/image_raw": ("/right/camera_info", 20)}


def test_of_several_cameras_of_a_bag_one_is_chosen_or_they_are_listed(tmp_path: Path):
    bag = bag_with_cameras(tmp_path / "bag", TWO_CAMERAS)
    wanted = Wanted(scene=False, image=True)
    with pytest.raises(DataError, match=r"/left/image_raw .*, /right/image_raw .*; name one with --camera"):
        open_moments(bag, wanted)
    with pytest.raises(DataError, match=r"--camera /front to name a topic .* with images, got /left/image_raw"):
        open_moments(bag, wanted, camera="/front")
    for topic, (_, grey) in TWO_CAMERAS.items():
        moments = all_of(bag, wanted, camera=topic)
        assert [int(moment.image.rgb.mean()) for moment in moments] == [grey] * 3


def test_a_bag_with_drawn_overlays_alone_says_that_the_recorded_one_has_the_images(tmp_path: Path):
    bag = bag_with_cameras(tmp_path / "bag", {"/node/overlay": ("", 10)})
    for camera in (None, "/node/overlay"):
        with pytest.raises(DataError) as caught:
            open_moments(bag, Wanted(scene=False, image=True), camera=camera)
        assert "got only /node/overlay (" in str(caught.value)
        assert "drawn already; take the recorded bag, which has the camera's images" in str(caught.value)


def test_a_camera_that_is_named_is_what_render_and_view_show(tmp_path: Path):
    bag = str(bag_with_cameras(tmp_path / "bag", TWO_CAMERAS))
    options = ["--camera", "/right/image_raw", "--limit", "1"]
    pictures = []
    for view in ([], ["--view", "camera"]):
        out = tmp_path / f"{len(view)}.png"
        assert main(["render", bag, *options, *view, "--size", "240x200", "--out", str(out)]) == 0
        pictures.append(out.read_bytes())
    assert pictures[0] == pictures[1]
    assert main(["view", bag, *options, "--foxglove", str(tmp_path / "a.mcap")]) == 0
    with open_bag(tmp_path / "a.mcap") as reader:
        assert [topic.count for topic in reader.of_type("sensor_msgs/msg/Image")].count(1) >= 1


def test_a_scene_that_was_recorded_long_after_its_image_finds_it(tmp_path: Path):
    pytest.importorskip("rosbags", reason="rosbags is not installed: run `make setup`")
    from pasco_core.data.bags.message_classes import message_classes
    from pasco_core.data.bags.writer import BagTopic, BagWriter
    from pasco_core.messages import scene_messages as make
    from pasco_core.messages.message_types import MESSAGE_TYPES

    names = {**MESSAGE_TYPES, "CameraInfo": "sensor_msgs/msg/CameraInfo"}
    types = message_classes(names)
    kinds = {"/front/image_raw": "Image", "/front/camera_info": "CameraInfo", "/node/voxels": "VoxelGrid"}
    with BagWriter(tmp_path / "bag", [BagTopic(topic, names[kind]) for topic, kind in kinds.items()]) as writer:
        for number in range(30):  # 10 images per second; the scene of the 15th comes 1.5 s after its image
            time = 10**10 + number * 10**8
            header = types.Header(stamp=types.Time(sec=time // 10**9, nanosec=time % 10**9), frame_id="velodyne")
            writer.write("/front/camera_info", time, types.CameraInfo(
                header=header, height=6, width=8, k=[5.0, 0, 4, 0, 5, 3, 0, 0, 1]))
            writer.write("/front/image_raw", time, types.Image(
                header=header, height=6, width=8, encoding="rgb8", step=24, data=bytes([number]) * 144))
            if number == 14:
                layers = ("semantics", "instance", "occupancy_probability", "uncertainty")
                late = make.voxel_grid_message(types, small_scene(), header, "w", layers)
            if number == 29:
                writer.write("/node/voxels", time, late)
    (moment,) = all_of(tmp_path / "bag", Wanted(points=False, image=True))
    assert int(moment.image.rgb.mean()) == 14


def test_a_calibration_is_found_by_its_frame_and_images_without_one_are_refused(tmp_path: Path):
    wanted = Wanted(scene=False, image=True)
    bag = bag_with_cameras(tmp_path / "elsewhere", {"/left/image_raw": ("/calibration/left", 10)})
    assert all_of(bag, wanted)[0].image.camera.width == 8
    bag = bag_with_cameras(tmp_path / "none", {"/left/image_raw": ("", 10)})
    with pytest.raises(DataError, match=r"/left/image_raw to have a calibration on /left/camera_info, .* got none"):
        open_moments(bag, wanted)


def test_a_recording_holds_what_there_is_of_each_moment(dataset: Path, tmp_path: Path):
    pytest.importorskip("rosbags", reason="rosbags is not installed: run `make setup`")
    from pasco_core.data.bags import open_bag

    moments = open_moments(dataset, Wanted(image=True), sequence="08")
    file = tmp_path / "drive.mcap"
    assert write_recording(file, moments.take(range(2))) == 2
    assert list(tmp_path.iterdir()) == [file]
    with open_bag(file) as reader:
        counts = {name: topic.count for name, topic in reader.topics.items()}
        voxels = [message for _, _, message in reader.messages(["/voxels"])]
    assert counts == {"/points": 2, "/voxels": 2, "/instances": 2, "/image": 2, "/overlay": 2}
    occupied = next(iter(moments.take(range(1)))).scene.semantics
    assert voxels[0].width == np.count_nonzero((occupied != 0) & (occupied != 255))


def test_a_recording_that_is_cut_short_leaves_nothing(dataset: Path, tmp_path: Path):
    pytest.importorskip("rosbags", reason="rosbags is not installed: run `make setup`")

    def stopped():
        yield from open_moments(dataset, Wanted(scene=False), sequence="08").take(range(1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_recording(tmp_path / "drive.mcap", stopped())
    assert list(tmp_path.iterdir()) == []


def test_a_window_without_open3d_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_prediction(tmp_path / "a.npz", small_scene())
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(ConfigError, match=r"open3d for a window, got none: pip install 'pasco-ros\[viewer\]'"):
        show_moment(all_of(tmp_path / "a.npz")[0])


def test_a_window_shows_the_occupied_voxels_in_their_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Open3D itself needs a display; a stand-in notes what it is given."""
    given: dict[str, list] = {"shown": [], "clouds": []}

    class Window:
        def create_window(self, **_: object) -> bool:
            return True

        def add_geometry(self, geometry: object) -> None:
            given["shown"].append(geometry)

        def __getattr__(self, name: str):
            return lambda *_, **__: self

    def from_cloud(cloud: SimpleNamespace, size: float) -> str:
        given["clouds"].append((cloud, size))
        return "voxels"

    monkeypatch.setitem(sys.modules, "open3d", SimpleNamespace(
        geometry=SimpleNamespace(
            PointCloud=SimpleNamespace, VoxelGrid=SimpleNamespace(create_from_point_cloud=from_cloud),
            TriangleMesh=SimpleNamespace(create_coordinate_frame=lambda size: "axes"),
        ),
        utility=SimpleNamespace(Vector3dVector=np.asarray), visualization=SimpleNamespace(Visualizer=Window),
    ))
    save_prediction(tmp_path / "a.npz", small_scene())
    show_moment(all_of(tmp_path / "a.npz")[0])
    assert given["shown"] == ["voxels", "axes"]
    (cloud, size), = given["clouds"]
    assert (len(cloud.points), size) == (134, 0.2)
    assert (np.unique(np.rint(cloud.colors * 255), axis=0) == SEMANTIC_KITTI.colours[[1, 9]]).all()
