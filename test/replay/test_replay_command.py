"""``pasco replay`` as a user has it: results on disk, a report, comparison, and one line for every mistake."""

from __future__ import annotations

import json
import re
from functools import partial

import pytest
import replay_stand_in as stand_in

from pasco_core.cli import main
from pasco_core.data.bags import open_bag
from pasco_core.replay import ReplayPlan


@pytest.fixture(autouse=True)
def small_network(monkeypatch):
    """The stand-in in place of the network, for runs in this process."""
    use(monkeypatch, stand_in.load)


def use(monkeypatch, loader):
    monkeypatch.setattr("pasco_core.replay.ReplayPlan", partial(ReplayPlan, loader=loader))


@pytest.fixture
def bag(tmp_path):
    return stand_in.write(tmp_path / "drive", stand_in.with_truth(4))


def test_a_replay_leaves_results_and_a_report_that_needs_nothing_else(bag, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["replay", str(bag), "--out", str(out), "--realtime", "--latency", "0.25", "--max-age", "1"]) == 0
    text = capsys.readouterr().out
    assert "Clouds by outcome" in text and "DROPPED_OVERLOAD" in text and str(out / "report.html") in text
    assert [json.loads(line)["number"] for line in (out / "results.jsonl").read_text().splitlines()] == [0, 1, 2, 3]
    page = (out / "report.html").read_text()
    assert "<svg" in page and "points instead of" in page and "Accuracy" in page
    assert not re.search(r'(src|href)="(?!#|data:)', page)


def test_the_summary_as_json_is_one_document(bag, tmp_path, capsys):
    assert main(["replay", str(bag), "--out", str(tmp_path / "out"), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["outcomes"] == {"PUBLISHED": 4} and len(values["sha256"]) == 64
    assert values["accuracy"]["frames"] == 4 and values["other_topics"] == {"pasco/msg/VoxelGrid": ["/truth/voxels"]}


def test_a_vehicles_parameter_file_is_used_and_overruled_and_what_is_left_is_told(bag, tmp_path, capsys):
    path = tmp_path / "car.yaml"
    values = "{min_range: 0.5, max_points: 9, max_age: 0.3, device: cuda, autostart: true}"
    path.write_text(f"/**:\n  ros__parameters: {values}\n")
    out = str(tmp_path / "out")
    arguments = ["replay", str(bag), "--out", out, "--params", str(path), "--param", "max_points=50"]
    assert main([*arguments, "--realtime", "--latency", "0.4"]) == 0
    told = "A replay does not use these parameters of car.yaml: device = \"cuda\", autostart = true"
    assert told in " ".join(capsys.readouterr().out.split())
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    recipe = summary["recipe"]
    assert (recipe["min_range"], recipe["max_points"], recipe["max_age"], recipe["device"]) == (0.5, 50, 0.3, "cpu")
    assert summary["remarks"] == [told]
    assert "PUBLISHED" not in json.loads((tmp_path / "out" / "timings.json").read_text())["realtime"]["outcomes"]
    assert main([*arguments, "--realtime", "--latency", "0.4", "--max-age", "1"]) == 2
    assert "max_age is 0.3" in capsys.readouterr().err


def test_two_replays_are_compared_with_differences_and_pictures(bag, tmp_path, capsys, monkeypatch):
    assert main(["replay", str(bag), "--out", str(tmp_path / "a")]) == 0
    use(monkeypatch, stand_in.load_other)
    assert main(["replay", str(bag), "--out", str(tmp_path / "b"), "--param", "min_range=0.2"]) == 0
    capsys.readouterr()
    arguments = ["replay", "compare", str(tmp_path / "a"), str(tmp_path / "b"), "--worst", "1", "--json"]
    assert main(arguments) == 0
    values = json.loads(capsys.readouterr().out)
    assert "0 of 4 predictions are the same bit by bit" in values["remarks"]
    assert not any("different bags" in remark for remark in values["remarks"])
    assert "Setting min_range is 0.1 in A, 0.2 in B" in values["remarks"]
    miou = next(row for row in values["tables"]["Accuracy and calibration"] if row[""] == "iou")
    assert miou["A"] == 1.0 and miou["difference"] < -0.1
    worst = values["tables"]["Worst regressions"]
    assert len(worst) == 4 and all(row["difference"] == row["mIoU B"] - row["mIoU A"] < 0 for row in worst)
    assert (tmp_path / "b" / "comparison.html").read_text().count("<img") == 1


def test_a_regression_too_small_for_three_digits_is_shown_as_one(bag, tmp_path, capsys):
    for name in "ab":
        assert main(["replay", str(bag), "--out", str(tmp_path / name)]) == 0
    path = tmp_path / "b" / "results.jsonl"
    first, *rest = map(json.loads, path.read_text().splitlines())
    first["scores"]["miou"] -= 2e-5
    path.write_text("".join(json.dumps(line) + "\n" for line in ({**first, "prediction": "another"}, *rest)))
    capsys.readouterr()
    assert main(["replay", "compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    assert re.search(r"difference\n +0 .* -0\.00002\n", capsys.readouterr().out)


def test_without_truth_the_change_of_occupied_voxels_is_shown(tmp_path, capsys, monkeypatch):
    drive = str(stand_in.write(tmp_path / "drive", stand_in.drive(2)))
    assert main(["replay", drive, "--out", str(tmp_path / "a")]) == 0
    use(monkeypatch, stand_in.load_other)
    assert main(["replay", drive, "--out", str(tmp_path / "b")]) == 0
    capsys.readouterr()
    assert main(["replay", "compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["tables"]["Largest changes of occupied voxels"]
    assert len(rows) == 2 and "mIoU A" not in rows[0]
    assert all(row["difference"] == row["voxels B"] - row["voxels A"] < 0 for row in rows)


def test_a_replay_compared_with_itself_shows_no_difference(bag, tmp_path, capsys):
    assert main(["replay", str(bag), "--out", str(tmp_path / "a")]) == 0
    capsys.readouterr()
    assert main(["replay", "compare", str(tmp_path / "a"), str(tmp_path / "a"), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["remarks"] == ["4 of 4 predictions are the same bit by bit"]
    assert "Worst regressions" not in values["tables"]


def test_images_are_offered_and_with_a_camera_drawn_into(tmp_path, capsys):
    messages = stand_in.drive(2)
    for time in (stand_in.START, stand_in.START + stand_in.PERIOD):
        messages += [("/front/image_raw", stand_in.IMAGE, time, stand_in.image(time, (1, 2, 3))),
                     ("/front/camera_info", stand_in.INFO, time, stand_in.camera_info(time))]
    bag = stand_in.write(tmp_path / "drive", messages)
    assert main(["replay", str(bag), "--out", str(tmp_path / "plain")]) == 0
    told = capsys.readouterr().err
    assert "images on /front/image_raw (sensor_msgs/msg/Image, 2 messages): --camera TOPIC draws" in told
    options = ["--camera", "/front/image_raw", "--param", "camera_poses=[0.5, 0, 1.73, 0, 0, 0]", "--json"]
    assert main(["replay", str(bag), "--out", str(tmp_path / "out"), *options]) == 0
    output = capsys.readouterr()
    values = json.loads(output.out)
    assert values["remarks"] == [] and values["recipe"]["cameras"] == {"/front/image_raw": "/front/camera_info"}
    assert "--camera" not in output.err
    with open_bag(tmp_path / "out" / "bag") as reader:
        assert reader.topics["/panoptic_scene_completion/overlay"].count == 2


def test_several_cloud_topics_are_listed_with_their_counts(tmp_path, capsys):
    messages = stand_in.drive(3)
    messages += [("/rear", *rest) for _, *rest in messages[:2]]
    bag = stand_in.write(tmp_path / "two", messages)
    assert main(["replay", str(bag), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "/points (sensor_msgs/msg/PointCloud2, 3 messages)" in error and "/rear" in error
    assert not (tmp_path / "out").exists()
    assert main(["replay", str(bag), "--topic", "/rear", "--out", str(tmp_path / "out")]) == 0


@pytest.mark.parametrize(("arguments", "message", "code"), [
    (["nothing.mcap"], "nothing there", 1),
    (["{bag}", "other"], "Expected one bag", 2),
    (["{bag}", "--every", "0"], "--every to be at least 1", 2),
    (["{bag}", "--latency", "1"], "to come with --realtime", 2),
    (["{bag}", "--realtime", "--latency", "-1"], "--latency to be 0 to 3600", 2),
    (["{bag}", "--realtime", "--every", "2"], "--realtime to come without --every", 2),
    (["{bag}", "--param", "sensor_pose=[0,0,.nan,0,0,0]"], "'sensor_pose' to be -1000.0 to 1000.0, got nan", 2),
    (["{bag}", "--params", "gone.yaml"], "gone.yaml to be a readable file", 2),
    (["{bag}", "--threads", "0"], "'num_threads' to be 1 to 256, got 0", 2),
    (["{bag}", "--truth-sequence", "08"], "to come with --truth", 2),
    (["{bag}", "--odometry", "/odom"], "--odometry /odom to come with --param deskew=odometry, got off", 2),
    (["{bag}", "--odometry", "/odom", "--param", "deskew=odometry"], "topic /odom to be in", 1),
    (["{bag}", "--camera", "/front", "--param", "base_frame=base"], "--camera /front to name a topic", 1),
    (["{bag}", "--camera", "/front"], "'camera_poses' to have x y z", 2),
    (["{bag}", "--camera", "/a", "--camera", "/a", "--param", "base_frame=base"], "each once, got ['/a', '/a']", 2),
    (["{bag}", "--param", "camera_topics=[/a]"], "given with --camera", 2),
    (["{bag}", "--truth", "{bag}"], "SemanticKITTI", 1),
    (["{bag}", "--topic", "/point"], "did you mean /points", 1),
    (["{bag}", "--checkpoint", "gone.safetensors"], "gone.safetensors", 1),
    (["{bag}", "--jobs", "0"], "--jobs to be at least 1", 2),
    (["compare", "a"], "two folders of results", 2),
    (["compare", "{bag}", "{bag}"], "finished `pasco replay`", 1),
])
def test_a_mistake_gets_one_line(bag, tmp_path, capsys, monkeypatch, arguments, message, code):
    monkeypatch.chdir(tmp_path)
    assert main(["replay", *(text.format(bag=bag) for text in arguments)]) == code
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
