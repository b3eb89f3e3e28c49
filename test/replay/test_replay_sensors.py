"""What stands beside the clouds in a bag: odometry that de-skews them, and cameras, with the node's rules."""

from __future__ import annotations

import json

import numpy as np
import pytest
import replay_stand_in as stand_in
from replay_stand_in import CLOUD, IMAGE, INFO, ODOMETRY, PACKED, PERIOD, START, TOPIC, done, messages_of

from pasco_core.data.bags import open_bag
from pasco_core.data.cloud_message import decode_cloud
from pasco_core.errors import ConfigError, DataError
from pasco_core.replay import ReplayPlan, begin, replay, settings_from
from pasco_core.replay.clouds import CloudStream
from pasco_core.replay.record import digest_of
from pasco_core.replay.sensor_topics import find_sensors

SPEED = 10.0
MS = 1_000_000
AHEAD = "[0.0, 0.0, 1.73, -1.5707963267948966, 0.0, -1.5707963267948966]"  # a camera at KITTI's LiDAR that looks ahead
BY_ODOMETRY, SEEN = ["deskew=odometry"], [f"camera_poses={AHEAD}"]


def places(number, n=40):
    """Centres of voxels (n, 3), so that a move of a few centimetres back and forth leaves no point in another one."""
    rng = np.random.default_rng(number)
    corner = np.array(stand_in.GRID.origin) + 0.1
    return (corner + 0.2 * rng.integers((5, 0, 0), (28, 16, 16), (n, 3))).astype(np.float32)


def skewed_cloud(time, number):
    """Points that stand still, measured from a car that moves ahead: 50 ms before to 50 ms after the stamp."""
    xyz = places(number)
    times = np.linspace(-0.05, 0.05, len(xyz))
    seen = xyz - np.outer(times, [SPEED, 0, 0])
    return stand_in.cloud(time, np.column_stack([seen, np.full(len(xyz), 0.5)]), further={"time": times})


def moving_car(n=4, odometry_topics=("/odom",)):
    """Clouds at 10 Hz, odometry at 100 Hz."""
    messages = []
    for time in range(START - 200 * MS, START + n * PERIOD, 10 * MS):
        for topic in odometry_topics:
            messages.append((topic, ODOMETRY, time, stand_in.odometry(time, SPEED * (time - START) / 1e9)))
    messages += [(TOPIC, CLOUD, START + i * PERIOD, skewed_cloud(START + i * PERIOD, i)) for i in range(n)]
    return sorted(messages, key=lambda entry: entry[2])


def seen_by_a_camera(messages, packed=False, topic="/front/image_raw", info="/front/camera_info", late=20):
    """Further an image of each cloud's time that is recorded ``late`` ms after it, in a colour that tells the cloud."""
    images = []
    for i, (_, _, time, _) in enumerate(entry for entry in messages if entry[1] == CLOUD):
        make = stand_in.packed_image if packed else stand_in.image
        own = f"{topic}/compressed" if packed else topic
        images.append((own, PACKED if packed else IMAGE, time + late * MS, make(time, colour_of(i))))
        if info:
            images.append((info, INFO, time + late * MS, stand_in.camera_info(time)))
    return sorted([*messages, *images], key=lambda entry: entry[2])


def colour_of(number):
    return 200 - 10 * number, 30, 10 * number


def plan_of(bag, params=(), odometry=None, cameras=(), **options):
    given = {"camera_topics": tuple(cameras)} if cameras else {}
    settings = settings_from(params, **given)
    with open_bag(bag) as reader:
        sensors = find_sensors(reader, settings, odometry, cameras_named=bool(cameras))
        count = reader.topics[TOPIC].count
    return ReplayPlan(bag, TOPIC, count, settings=settings, sensors=sensors, **{"loader": stand_in.load, **options})


def points_of(plan):
    return [item.points for item in CloudStream(plan, frozenset(), lambda: 0.0)]


def test_points_are_where_a_car_that_stands_would_have_seen_them(tmp_path):
    bag = stand_in.write(tmp_path / "drive", moving_car())
    for number, points in enumerate(points_of(plan_of(bag, BY_ODOMETRY))):
        np.testing.assert_allclose(points[:, :3], places(number), atol=1e-4)
    skewed = points_of(plan_of(bag))[0]
    assert np.abs(skewed[:, :3] - places(0)).max() > 0.4
    done(plan_of(bag, BY_ODOMETRY), tmp_path / "out")
    for number, voxels in enumerate(messages_of(tmp_path / "out", "voxels")):
        expected = stand_in.scene_of(np.column_stack([places(number), np.full(40, 0.5)]).astype(np.float32)).semantics
        np.testing.assert_array_equal(voxels.layers[0].data.reshape(expected.shape), expected)


def test_tf_with_a_fixed_frame_de_skews_too(tmp_path):
    messages = [("/tf_static", stand_in.TF, START - 300 * MS, stand_in.transform(START, "base", "lidar", 0.0))]
    for _, kind, time, message in moving_car():
        if kind == ODOMETRY:
            x = message.pose.pose.position.x
            messages.append(("/tf", stand_in.TF, time, stand_in.transform(time, "odom", "base", x)))
        else:
            messages.append((TOPIC, kind, time, message))
    bag = stand_in.write(tmp_path / "drive", messages)
    params = ["deskew=tf", "base_frame=base", "network_pose=[0, 0, 0, 0, 0, 0]"]
    for number, points in enumerate(points_of(plan_of(bag, params))):
        np.testing.assert_allclose(points[:, :3], places(number), atol=1e-4)


def test_odometry_that_is_recorded_after_the_cloud_is_not_waited_for(tmp_path):
    """The car brakes to a stop at the first cloud's stamp; until then nothing tells that."""
    messages = moving_car(2)
    for _, kind, time, message in messages:
        if kind == ODOMETRY and time > START:
            message.pose.pose.position.x = 0.0
    points = points_of(plan_of(stand_in.write(tmp_path / "drive", messages), BY_ODOMETRY))
    np.testing.assert_allclose(points[0][:, :3], places(0), atol=1e-4)
    still = places(1) - np.outer(np.linspace(-0.05, 0.05, 40), [SPEED, 0, 0])
    np.testing.assert_allclose(points[1][:, :3], still, atol=1e-4)


def test_the_scene_is_drawn_into_the_image_of_its_time_and_colours_come_from_it(tmp_path):
    bag = stand_in.write(tmp_path / "drive", seen_by_a_camera(stand_in.drive(4)))
    params = [*SEEN, "point_colours=camera"]
    summary = done(plan_of(bag, params, cameras=["/front/image_raw"]), tmp_path / "out")
    assert summary.missing == () and not any("camera" in note for note in summary.notes())
    drawn = messages_of(tmp_path / "out", "overlay")
    assert len(drawn) == 4
    clouds = messages_of(tmp_path / "out", "occupied_points")
    for number, (picture, cloud) in enumerate(zip(drawn, clouds, strict=True)):
        assert picture.header.frame_id == "camera"
        assert picture.header.stamp.sec * 10**9 + picture.header.stamp.nanosec == START + number * PERIOD
        pixels = picture.data.reshape(stand_in.HEIGHT, stand_in.WIDTH, 3)
        changed = (pixels != colour_of(number)).any(axis=2)
        occupied = decode_cloud(cloud, min_range=0.0).points
        occupied = occupied[occupied[:, 0] < 2.5]  # those that cover several pixels
        u = stand_in.WIDTH / 2 - stand_in.FOCAL * occupied[:, 1] / occupied[:, 0]
        v = stand_in.HEIGHT / 2 - stand_in.FOCAL * occupied[:, 2] / occupied[:, 0]
        inside = (u >= 0) & (u < stand_in.WIDTH - 1) & (v >= 0) & (v < stand_in.HEIGHT - 1)
        hit = changed[np.rint(v[inside]).astype(int), np.rint(u[inside]).astype(int)]
        assert len(hit) >= 3 and hit.all() and not changed.all()
        packed = cloud.data.reshape(cloud.width, cloud.point_step)
        (place,) = (field.offset for field in cloud.fields if field.name == "rgb")
        colours = {tuple(row) for row in packed[:, place : place + 3][:, ::-1].tolist()}
        assert tuple(colour_of(number)) in colours


def test_raw_and_compressed_images_give_the_same_pictures(tmp_path):
    pictures = []
    for packed in (False, True):
        name = f"{packed}"
        bag = stand_in.write(tmp_path / name, seen_by_a_camera(stand_in.drive(3), packed))
        done(plan_of(bag, SEEN, cameras=["/front/image_raw"]), tmp_path / f"out_{name}")
        pictures.append([m.data.tobytes() for m in messages_of(tmp_path / f"out_{name}", "overlay")])
    assert pictures[0] == pictures[1] and len(pictures[0]) == 3


def everything(folder):
    """A car with odometry and a camera."""
    return stand_in.write(folder / "drive", seen_by_a_camera(moving_car(6)))


PARAMS = [*BY_ODOMETRY, *SEEN, "point_colours=camera"]


def test_with_odometry_and_images_any_number_of_processes_and_a_stop_give_the_same_bits(tmp_path, monkeypatch):
    plan = plan_of(everything(tmp_path), PARAMS, cameras=["/front/image_raw"])
    one, two = (done(plan, tmp_path / f"{jobs}", jobs) for jobs in (1, 2))
    stopped = replay(begin(plan, tmp_path / "again"))
    for _ in range(3):
        next(stopped)
    stopped.close()
    again = begin(plan, tmp_path / "again")
    assert again.todo == 3
    three = done(plan, tmp_path / "again")
    assert digest_of(one.records) == digest_of(two.records) == digest_of(three.records)
    for name in ("results.jsonl", "summary.json"):
        assert len({(tmp_path / folder / name).read_bytes() for folder in ("1", "2", "again")}) == 1
    for topic in ("overlay", "occupied_points", "voxels"):
        data = [[m.data.tobytes() if topic != "voxels" else m.layers[0].data.tobytes()
                 for m in messages_of(tmp_path / folder, topic)] for folder in ("1", "2", "again")]
        assert data[0] == data[1] == data[2] and len(data[0]) == 6


def test_cameras_do_not_change_what_is_predicted(tmp_path):
    bag = everything(tmp_path)
    with_camera = done(plan_of(bag, PARAMS, cameras=["/front/image_raw"]), tmp_path / "with")
    without = done(plan_of(bag, BY_ODOMETRY), tmp_path / "without")
    assert digest_of(with_camera.records) == digest_of(without.records)


def test_what_the_bag_lacks_is_said_once_and_the_clouds_go_on(tmp_path):
    bag = stand_in.write(tmp_path / "drive", seen_by_a_camera(stand_in.drive(4), info=None))
    plan = plan_of(bag, [*BY_ODOMETRY, *SEEN], cameras=["/front/image_raw"])
    summary = done(plan, tmp_path / "out")
    assert [record.verdict.outcome.name for record in summary.records] == ["PUBLISHED"] * 4
    remarks = summary.remarks()
    for words in ("no topic of type nav_msgs/msg/Odometry", "images on /front/image_raw to have a calibration"):
        assert sum(words in line for line in remarks) == 1, remarks
    assert sum("camera is off" in line or "de-skewed" in line for line in remarks) == 2
    values = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert any("/front/camera_info" in line for line in values["remarks"])
    with open_bag(tmp_path / "out" / "bag") as reader:
        assert not any(name.endswith("/overlay") for name in reader.topics)


def test_a_movement_that_is_not_known_and_an_image_that_is_late_are_told_with_the_number_of_clouds(tmp_path):
    messages = [entry for entry in seen_by_a_camera(moving_car(6), late=0)
                if not (entry[1] == ODOMETRY and entry[2] > START)]
    for _, kind, _, message in messages:
        if kind == IMAGE and message.header.stamp.nanosec >= 300 * MS:
            message.header.stamp.sec += 100
    plan = plan_of(stand_in.write(tmp_path / "drive", messages), [*BY_ODOMETRY, *SEEN], cameras=["/front/image_raw"])
    notes = done(plan, tmp_path / "out").notes()
    still = [count for note, count in notes.items() if "movement over the sweep on /points is not known" in note]
    off = [count for note, count in notes.items() if "an image on /front/image_raw within 0.1 s" in note]
    assert still == [5] and sum(off) == 2  # that of 0.2 s is 100 ms from the cloud of 0.3 s
    assert len(messages_of(tmp_path / "out", "overlay")) == 4


def test_several_topics_with_odometry_are_listed_until_one_is_named(tmp_path):
    bag = stand_in.write(tmp_path / "drive", moving_car(2, ("/odom", "/wheels/odom")))
    with pytest.raises(DataError, match=r"got /odom \(nav_msgs.*, /wheels/odom .*; name one of them with --odometry"):
        plan_of(bag, BY_ODOMETRY)
    assert plan_of(bag, BY_ODOMETRY, "/wheels/odom").sensors.odometry == "/wheels/odom"
    with pytest.raises(DataError, match=r"/points .* to be of type nav_msgs/msg/Odometry"):
        plan_of(bag, BY_ODOMETRY, "/points")
    with pytest.raises(ConfigError, match="--odometry /odom to come with --param deskew=odometry, got off"):
        plan_of(bag, (), "/odom")


def test_the_calibration_is_the_one_beside_the_images_or_the_only_one_of_their_frame(tmp_path):
    def camera_of(name, infos):
        messages = [("/front/image_raw", IMAGE, START, stand_in.image(START, (1, 2, 3)))]
        messages += [(topic, INFO, START, stand_in.camera_info(START, frame)) for topic, frame in infos]
        bag = stand_in.write(tmp_path / name, [*messages, *stand_in.drive(1)])
        return plan_of(bag, SEEN, cameras=["/front/image_raw"]).sensors

    beside = camera_of("beside", [("/front/camera_info", "other"), ("/calibration", "camera")])
    assert beside.cameras[0].info == "/front/camera_info"
    by_frame = camera_of("by_frame", [("/calibration", "camera"), ("/rear/camera_info", "rear")])
    assert by_frame.cameras[0].info == "/calibration" and by_frame.lacks == ()
    two = camera_of("two", [("/a/camera_info", "camera"), ("/b/camera_info", "camera")])
    assert two.cameras == () and "frame 'camera', got /a/camera_info, /b/camera_info" in two.lacks[0]


def test_a_camera_that_a_person_names_must_be_there_and_one_of_a_vehicles_file_may_be_missing(tmp_path):
    bag = stand_in.write(tmp_path / "drive", seen_by_a_camera(stand_in.drive(1), packed=True))
    with pytest.raises(DataError, match=r"--camera /frnt .* with images, got /front/image_raw/compressed"):
        plan_of(bag, SEEN, cameras=["/frnt"])
    with open_bag(bag) as reader:
        settings = settings_from(["camera_transport=compressed", *SEEN], camera_topics=("rear/image", ))
        assert find_sensors(reader, settings).lacks == ("There are no images on rear/image: that camera is off",)
        settings = settings_from(["camera_transport=compressed", *SEEN], camera_topics=("front/image_raw", ))
        (camera,) = find_sensors(reader, settings).cameras
    assert camera.image == "/front/image_raw/compressed" and camera.compressed


def test_each_camera_keeps_its_own_pose_when_one_before_it_is_off(tmp_path):
    bag = stand_in.write(tmp_path / "drive", seen_by_a_camera(stand_in.drive(2)))
    with open_bag(bag) as reader:
        poses = f"camera_poses=[0.0, 9.0, 0.0, 0.0, 0.0, 0.0, {AHEAD[1:]}"
        settings = settings_from([poses], camera_topics=("/rear/image", "/front/image_raw"))
        sensors = find_sensors(reader, settings)
    plan = ReplayPlan(bag, TOPIC, 2, settings=settings, sensors=sensors)
    items = list(CloudStream(plan, frozenset(), lambda: 0.0))
    assert all(np.allclose(image.pose[:3, 3], 0, atol=1e-9) for item in items for image in item.images)
    assert [len(item.images) for item in items] == [1, 1]


def test_messages_that_are_none_and_poses_that_are_none_are_left_out_and_counted(tmp_path):
    messages = moving_car(2)
    messages += [("/odom", ODOMETRY, START + 5 * MS, b"\x00\x01\x00\x00odd"),
                 ("/odom", ODOMETRY, START + 6 * MS, stand_in.odometry(START + 6 * MS, 5.0, norm=2.0))]
    bag = stand_in.write(tmp_path / "drive", sorted(messages, key=lambda entry: entry[2]))
    summary = done(plan_of(bag, BY_ODOMETRY), tmp_path / "out")
    assert "1 messages on /odom were no nav_msgs/msg/Odometry and were left out" in summary.missing
    assert any(line.startswith("1 of 41 poses of the odometry were left out") for line in summary.missing)
    np.testing.assert_allclose(points_of(plan_of(bag, BY_ODOMETRY))[1][:, :3], places(1), atol=1e-4)


def test_of_many_images_only_those_near_a_waiting_cloud_are_kept(tmp_path, monkeypatch):
    from pasco_core.stream import cameras

    most = []
    keep = cameras.Camera.receive_image

    def counted(self, message):
        keep(self, message)
        most.append(len(self._images))

    monkeypatch.setattr(cameras.Camera, "receive_image", counted)
    messages = [("/tf_static", stand_in.TF, START - 1, stand_in.transform(START, "base", "camera", 0.0)),
                ("/front/camera_info", INFO, START - 1, stand_in.camera_info(START))]
    for i in range(3):  # transforms that come 300 ms after their clouds
        time = START + i * PERIOD
        messages += [(TOPIC, CLOUD, time, stand_in.cloud(time, stand_in.points_of(i))),
                     ("/tf", stand_in.TF, time + 300 * MS, stand_in.transform(time, "base", "lidar", 0.0))]
    for i in range(300):
        time = START - 100 * MS + i * 2 * MS
        messages.append(("/front/image_raw", IMAGE, time, stand_in.image(time, (i // 2, 0, 0))))
    bag = stand_in.write(tmp_path / "drive", sorted(messages, key=lambda entry: entry[2]))
    plan = plan_of(bag, ["base_frame=base", "tf_timeout=0.5"], cameras=["/front/image_raw"])
    items = list(CloudStream(plan, frozenset(), lambda: 0.0))
    assert [item.images[0].stamp for item in items] == [START + i * PERIOD for i in range(3)]
    assert len(most) == 300 and max(most) <= 4 + 3


def test_clouds_that_wait_for_transforms_when_the_stamps_begin_anew_are_flushed(tmp_path):
    messages = []
    for i in range(2):  # no transform comes for the second cloud
        time = START + i * PERIOD
        messages.append((TOPIC, CLOUD, time, stand_in.cloud(time, stand_in.points_of(i))))
    early, later = START - 10**12, START + PERIOD + 20 * MS
    messages += [("/tf", stand_in.TF, START + MS, stand_in.transform(START, "base", "lidar", 0.0)),
                 ("/tf", stand_in.TF, later - MS, stand_in.transform(early, "base", "lidar", 0.0)),
                 (TOPIC, CLOUD, later, stand_in.cloud(early, stand_in.points_of(2)))]
    bag = stand_in.write(tmp_path / "loop", sorted(messages, key=lambda entry: entry[2]))
    records = done(plan_of(bag, ["base_frame=base", "network_pose=[0, 0, 0, 0, 0, 0]"]), tmp_path / "out").records
    assert [(r.verdict.outcome.name, r.verdict.code) for r in records] == [
        ("PUBLISHED", "OK"), ("FLUSHED", "CLOCK_JUMP"), ("PUBLISHED", "OK")]
