"""A bag goes in; the node's messages, one record per cloud and a digest come out, the same bits on every run."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import replay_stand_in as stand_in
from replay_stand_in import done, messages_of

from pasco_core.data.bags import open_bag
from pasco_core.data.bags.message_classes import message_classes
from pasco_core.errors import CheckpointError, ConfigError, DataError
from pasco_core.messages.message_types import MESSAGE_TYPES
from pasco_core.messages.outputs import OutputBuilder
from pasco_core.messages.scene_reader import scene_from_messages
from pasco_core.replay import ReplayPlan, begin, replay, settings_from
from pasco_core.replay import outputs as replay_outputs
from pasco_core.replay.plan import Realtime, TruthPlace
from pasco_core.replay.record import digest_of
from pasco_core.replay.summary import summary_of
from pasco_core.stream.outcomes import Outcome


@pytest.fixture
def bag(tmp_path):
    return stand_in.write(tmp_path / "drive", stand_in.drive())


def plan_of(bag, count=6, **options):
    return ReplayPlan(bag, stand_in.TOPIC, count, **{"loader": stand_in.load, **options})


def test_every_cloud_leads_to_the_messages_of_the_node(bag, tmp_path):
    done(plan_of(bag), tmp_path / "out")
    with open_bag(tmp_path / "out" / "bag") as reader:
        counts = {topic.name.rsplit("/", 1)[1]: topic.count for topic in reader.topics.values()}
    names = ("voxels", "occupied_points", "segments", "instances", "occupancy_grid", "uncertainty_grid", "status")
    assert counts == dict.fromkeys(names, 6)
    pairs = zip(messages_of(tmp_path / "out", "voxels"), messages_of(tmp_path / "out", "segments"), strict=True)
    for number, (voxels, segments) in enumerate(pairs):
        expected = stand_in.scene_of(stand_in.points_of(number))
        scene = scene_from_messages(voxels, segments)
        np.testing.assert_array_equal(scene.semantics, expected.semantics)
        np.testing.assert_array_equal(scene.panoptic, expected.panoptic)
        assert voxels.header.frame_id == "lidar" and voxels.checkpoint == "stand-in"
        stamp = voxels.header.stamp.sec * 10**9 + voxels.header.stamp.nanosec
        assert stamp == stand_in.START + number * stand_in.PERIOD


def test_outputs_that_are_switched_off_are_not_in_the_bag_and_change_no_prediction(bag, tmp_path):
    settings = settings_from(["publish_voxels=false", "publish_uncertainty_grid=false"])
    fewer = done(plan_of(bag, settings=settings), tmp_path / "fewer")
    with open_bag(tmp_path / "fewer" / "bag") as reader:
        names = {topic.name.rsplit("/", 1)[1] for topic in reader.topics.values()}
    assert names == {"occupied_points", "segments", "instances", "occupancy_grid", "status"}
    assert digest_of(fewer.records) == digest_of(done(plan_of(bag), tmp_path / "all").records)


def test_any_number_of_processes_gives_the_same_bits(bag, tmp_path):
    one, two = (done(plan_of(bag), tmp_path / f"{jobs}", jobs) for jobs in (1, 2))
    assert digest_of(one.records) == digest_of(two.records)
    files = [(tmp_path / jobs / "results.jsonl").read_bytes() for jobs in "12"]
    assert files[0] == files[1]
    assert (tmp_path / "1" / "summary.json").read_bytes() == (tmp_path / "2" / "summary.json").read_bytes()


def test_the_digest_is_over_what_was_predicted(bag, tmp_path):
    summary = done(plan_of(bag), tmp_path / "out")
    other = done(plan_of(bag, loader=stand_in.load_other), tmp_path / "other")
    assert digest_of(summary.records) != digest_of(other.records)
    lines = [f"{r.number} {stand_in.START + r.number * stand_in.PERIOD} PUBLISHED {r.prediction}\n"
             for r in summary.records]
    assert summary.values()["sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert len({record.prediction for record in summary.records}) == 6


def test_a_stopped_replay_goes_on_where_it_was(bag, tmp_path, monkeypatch):
    monkeypatch.setattr(replay_outputs, "CLOUDS_PER_FILE", 2)
    for module in ("assembly", "run"):
        monkeypatch.setattr(f"pasco_core.replay.{module}.CLOUDS_PER_FILE", 2)
    whole = done(plan_of(bag), tmp_path / "whole")
    out = tmp_path / "out"
    first = replay(begin(plan_of(bag), out))
    for _ in range(3):
        next(first)
    first.close()
    assert not (out / "bag" / "metadata.yaml").exists()
    again = begin(plan_of(bag), out)
    assert again.todo == 3
    computed = [record.number for record in replay(again)]
    assert computed == [3, 4, 5]
    with open_bag(bag) as reader:
        assert digest_of(summary_of(again, reader).records) == digest_of(whole.records)
    stamps = [[m.header.stamp.nanosec for m in messages_of(folder, "voxels")] for folder in (tmp_path / "whole", out)]
    assert stamps[0] == stamps[1] and len(stamps[0]) == 6
    assert [list(m.frames_by_outcome)[:2] for m in messages_of(out, "status")] == [[0, n] for n in range(1, 7)]
    assert len(list((out / "bag").glob("*.mcap"))) == 3 and not (out / "kept").exists()


def test_a_finished_replay_computes_nothing_again(bag, tmp_path):
    first = done(plan_of(bag), tmp_path / "out")
    run = begin(plan_of(bag), tmp_path / "out")
    assert run.todo == 0 and list(replay(run)) == []
    assert [fate.number for fate in run.fates] == [fate.number for fate in first.fates]


def test_every_second_cloud_has_the_predictions_of_the_whole_run(bag, tmp_path):
    whole, half = done(plan_of(bag), tmp_path / "whole"), done(plan_of(bag, every=2), tmp_path / "half")
    assert [r.number for r in half.records] == [0, 2, 4]
    assert [r.prediction for r in half.records] == [r.prediction for r in whole.records[::2]]


def test_a_folder_of_another_replay_is_refused_with_the_differences(bag, tmp_path):
    done(plan_of(bag), tmp_path / "out")
    with pytest.raises(ConfigError, match="every is 1 there, 2 here"):
        begin(plan_of(bag, every=2), tmp_path / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"got .*mine with thesis\.txt"):
        begin(plan_of(bag), tmp_path / "mine")


def another_drive(path):
    """Like the drive of these tests, but a point of its last cloud lies elsewhere."""
    messages = stand_in.drive()
    messages[-1][3].data[:4] = 0
    return stand_in.write(path, messages)


def test_another_bag_at_the_same_path_is_refused_and_one_that_moved_goes_on(bag, tmp_path):
    first = replay(begin(plan_of(bag), tmp_path / "out"))
    next(first)
    first.close()
    (tmp_path / "disk").mkdir()
    moved = bag.rename(tmp_path / "disk" / bag.name)
    assert begin(plan_of(moved), tmp_path / "out").todo == 5
    another_drive(bag)
    with pytest.raises(ConfigError, match="the bag is another one than the one begun with"):
        begin(plan_of(bag), tmp_path / "out")
    renamed = moved.rename(tmp_path / "disk" / "evening")
    with pytest.raises(ConfigError, match="the bag is called drive there, evening here"):
        begin(plan_of(renamed), tmp_path / "out")


def test_a_start_that_fails_does_not_claim_its_folder(bag, tmp_path):
    with pytest.raises(CheckpointError):
        done(plan_of(bag, loader=stand_in.load_nothing, every=2), tmp_path / "out")
    assert len(done(plan_of(bag), tmp_path / "out").records) == 6


def test_real_time_needs_every_cloud(bag):
    with pytest.raises(ConfigError, match=r"--realtime to come without --every, got --every 2: .* fewer"):
        plan_of(bag, every=2, realtime=Realtime())


def test_bad_clouds_get_the_outcomes_that_the_node_gives_them(tmp_path):
    start, period = stand_in.START, stand_in.PERIOD
    good, broken = stand_in.cloud(start, stand_in.points_of(0)), stand_in.cloud(start + period, stand_in.points_of(1))
    broken.point_step = 3
    nameless = stand_in.cloud(start + 2 * period, stand_in.points_of(2), "")
    empty = stand_in.cloud(start + 3 * period, np.zeros((0, 4)))
    far = stand_in.cloud(start + 4 * period, np.full((5, 4), 500.0))
    late = stand_in.cloud(start - period, stand_in.points_of(5))
    odd = stand_in.cloud(start + 6 * period, stand_in.points_of(6, 61))
    clouds = [good, broken, nameless, empty, far, late, odd]
    bag = stand_in.write(tmp_path / "bad", [
        (stand_in.TOPIC, stand_in.CLOUD, start + i * period, message) for i, message in enumerate(clouds)
    ])
    summary = done(plan_of(bag, 7, loader=stand_in.load_fragile), tmp_path / "out")
    verdicts = [(r.verdict.outcome.name, r.verdict.code) for r in summary.records]
    assert verdicts == [
        ("PUBLISHED", "OK"), ("REJECTED", "LAYOUT"), ("REJECTED", "FRAME_ID"), ("EMPTY", "EMPTY_UNKNOWN"),
        ("INFERENCE_FAILED", "INFERENCE_FAILED"), ("DROPPED_DUPLICATE", "OUT_OF_ORDER"),
        ("INFERENCE_FAILED", "INFERENCE_FAILED"),
    ]
    statuses = messages_of(tmp_path / "out", "status")
    assert [m.outcome for m in statuses] == [Outcome[name].value for name, _ in verdicts]
    assert list(statuses[-1].frames_by_outcome) == [0, 1, 1, 0, 0, 1, 0, 0, 2, 0, 2]
    assert len(messages_of(tmp_path / "out", "voxels")) == 2
    unknown = messages_of(tmp_path / "out", "voxels")[1]
    assert all((layer.data == 255).all() for layer in unknown.layers)


def test_transforms_of_the_bag_place_the_clouds_and_late_ones_are_waited_for(tmp_path):
    start, period = stand_in.START, stand_in.PERIOD
    messages = [("/tf_static", stand_in.TF, start - 1, stand_in.transform(start, "base", "mast", 1.0))]
    for i in range(3):  # the lidar moves along the mast; its pose comes 30 ms after the cloud
        time = start + i * period
        messages.append((stand_in.TOPIC, stand_in.CLOUD, time, stand_in.cloud(time, stand_in.points_of(0))))
        if i < 2:
            pose = stand_in.transform(time, "mast", "lidar", float(i))
            messages.append(("/tf", stand_in.TF, time + 30_000_000, pose))
    bag = stand_in.write(tmp_path / "moving", messages)
    settings = settings_from(["base_frame=base", "network_pose=[0,0,0,0,0,0]"])
    summary = done(plan_of(bag, 3, settings=settings), tmp_path / "out")
    assert [r.verdict.outcome.name for r in summary.records] == ["PUBLISHED", "PUBLISHED", "TF_UNAVAILABLE"]
    for number, voxels in enumerate(messages_of(tmp_path / "out", "voxels")):
        points = stand_in.points_of(0)
        points[:, 0] += 1 + number
        expected = stand_in.scene_of(points).semantics
        np.testing.assert_array_equal(voxels.layers[0].data.reshape(expected.shape), expected)
        assert voxels.origin.position.x == pytest.approx(stand_in.GRID.origin[0] - 1 - number)


def test_a_bag_that_was_cut_is_replayed_to_its_last_whole_cloud_and_the_summary_says_so(tmp_path):
    bag = stand_in.write(tmp_path / "drive", stand_in.drive(60))
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    (bag / "metadata.yaml").unlink()
    with open_bag(bag) as reader:
        count = reader.topics[stand_in.TOPIC].count
    assert 0 < count < 60
    summary = done(plan_of(bag, count), tmp_path / "out")
    assert [r.number for r in summary.records] == list(range(count))
    assert any("to be whole" in line for line in summary.remarks())
    assert any(f"{count} clouds that could be read before the damage" in line for line in summary.remarks())
    third = done(plan_of(bag, count, every=3), tmp_path / "third")
    said = f"The numbers are of {len(range(0, count, 3))} of the {count} clouds that could be read"
    assert any(said in line for line in third.remarks())


def test_the_truth_in_the_bag_gives_scores_and_a_perfect_prediction_gets_100(tmp_path):
    bag = stand_in.write(tmp_path / "drive", stand_in.with_truth())
    good = done(plan_of(bag, 4), tmp_path / "good")
    completion = good.evaluation.lead_figures["completion"]["standard"]
    assert completion["iou"] == 1.0 and [r.scores["miou"] for r in good.records] == [1.0] * 4
    worse = done(plan_of(bag, 4, loader=stand_in.load_other), tmp_path / "worse")
    missed = [stand_in.scene_of(p[p[:, 0] > 2]).semantics for p in map(stand_in.points_of, range(4))]
    truth = [stand_in.scene_of(p).semantics for p in map(stand_in.points_of, range(4))]
    expected = sum((m > 0).sum() for m in missed) / sum((t > 0).sum() for t in truth)
    assert worse.evaluation.lead_figures["completion"]["standard"]["iou"] == pytest.approx(expected)


def test_what_else_the_bag_holds_and_how_its_scans_differ_is_told(bag, tmp_path):
    values = done(plan_of(bag), tmp_path / "out").values()
    assert any("60 points instead of" in clause for clause in values["sensor"]["differs"])
    off = done(plan_of(bag, settings=settings_from(["training_sensor=none"])), tmp_path / "off").values()
    assert off["sensor"]["differs"] is None


def test_with_a_given_latency_the_newest_cloud_wins_and_ages_are_those_of_the_virtual_clock(bag, tmp_path):
    plan = plan_of(bag, realtime=Realtime(0.24))
    summary = done(plan, tmp_path / "out")
    # The cloud of 0.0 s runs to 0.24; that of 0.1 is replaced by that of 0.2, which runs from 0.24 to 0.48; that of 0.3
    # by that of 0.4, which runs to 0.72; that of 0.5 waits and runs to 0.96.
    assert [f.verdict.outcome.name for f in summary.fates] == [
        "PUBLISHED", "DROPPED_OVERLOAD", "PUBLISHED", "DROPPED_OVERLOAD", "PUBLISHED", "PUBLISHED"
    ]
    ages = [fate.age for fate in summary.fates if fate.age is not None]
    assert ages == pytest.approx([0.24, 0.28, 0.32, 0.46])
    real = json.loads((tmp_path / "out" / "timings.json").read_text())["realtime"]
    assert real["outcomes"] == {"PUBLISHED": 4, "DROPPED_OVERLOAD": 2} and real["longest_gap"] == pytest.approx(0.24)
    assert len(messages_of(tmp_path / "out", "voxels")) == 4
    statuses = messages_of(tmp_path / "out", "status")
    assert len(statuses) == 6 and list(statuses[-1].frames_by_outcome)[:4] == [0, 4, 0, 2]


def test_the_value_of_full_intensity_is_the_nodes_first(bag, tmp_path):
    whole = done(plan_of(bag, settings=settings_from(["intensity_maxima=[1.0]"])), tmp_path / "one")
    half = done(plan_of(bag, settings=settings_from(["intensity_maxima=[2.0]"])), tmp_path / "two")
    sure = [messages_of(tmp_path / name, "segments")[0].segments[0].confidence for name in ("one", "two")]
    assert sure[1] - 0.5 == pytest.approx((sure[0] - 0.5) / 2)
    assert digest_of(whole.records) != digest_of(half.records)


def test_truth_in_the_bag_with_other_classes_or_another_grid_is_noted_and_not_scored(tmp_path):
    messages = stand_in.with_truth(2)
    fewer, shifted = messages[1][3], messages[3][3]
    fewer.class_names = fewer.class_names[:-1]
    shifted.origin.position.x += 1.0
    summary = done(plan_of(stand_in.write(tmp_path / "drive", messages), 2), tmp_path / "out")
    assert [record.verdict.outcome for record in summary.records] == [Outcome.PUBLISHED] * 2
    assert summary.evaluation is None
    assert set(summary.notes()) == {
        "not scored: the truth has other classes than the network's SemanticKITTI",
        "not scored: the truth has another grid than the network",
    }
    assert any("none has both a prediction and voxel truth that fits it" in line for line in summary.remarks())


def test_a_dataset_of_truth_with_other_classes_is_refused_before_anything_is_computed(bag, tmp_path):
    for folder in ("data_2d_raw", "data_3d_raw", "labels"):
        (tmp_path / "kitti360" / folder / "2013_05_28_drive_0000_sync").mkdir(parents=True)
    labels = tmp_path / "kitti360" / "labels" / "2013_05_28_drive_0000_sync"
    np.save(labels / "000000_1_1.npy", np.zeros((256, 256, 32), np.uint8))
    with pytest.raises(ConfigError, match="to have the network's classes, SemanticKITTI, got SSCBench-KITTI-360"):
        done(plan_of(bag, truth=TruthPlace(str(tmp_path / "kitti360"))), tmp_path / "out")
    assert not list((tmp_path / "out").glob("kept/*"))


def test_truth_of_a_dataset_with_several_sequences_must_be_named(bag, tmp_path):
    for name in ("00", "08"):
        (tmp_path / "kitti" / "sequences" / name / "velodyne").mkdir(parents=True)
    plan = plan_of(bag, truth=TruthPlace(str(tmp_path / "kitti")))
    with pytest.raises(ConfigError, match="--truth-sequence to name one of 00, 08, got none"):
        done(plan, tmp_path / "out")


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: d + b"x", lambda d: b"", lambda d: b"[]\n"])
def test_kept_messages_come_back_as_they_were_and_damaged_ones_are_refused(tmp_path, damage):
    types = message_classes(MESSAGE_TYPES)
    builder = OutputBuilder(types, "stand-in", lambda name: True)
    messages = builder.scene(stand_in.scene_of(stand_in.points_of(0)), stand_in.header(5), settings_from([]))
    replay_outputs.keep(tmp_path, 3, messages)
    assert list(replay_outputs.kept(tmp_path, 3)) == list(messages)
    path = next((tmp_path / "kept").iterdir())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="kept"):
        replay_outputs.kept(tmp_path, 3)
