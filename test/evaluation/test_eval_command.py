"""``pasco eval`` as a user meets it: results, launchers, wrong use; on a dataset of three frames on disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pasco_core.data.datasets import open_dataset
from pasco_core.data.datasets.semantic_kitti_ids import RAW_OF_CLASS
from pasco_core.data.datasets.voxel_files import write_labels
from pasco_core.data.frame import Frame
from pasco_core.errors import ConfigError, InferenceError
from pasco_core.evaluation.sources import NetworkSource, _OpenNetwork
from pasco_core.evaluation.truth_scene import scene_from_truth
from pasco_core.prediction_file import save_prediction
from pasco_core.systems.pasco import PaSCoConfig, Predictor
from pasco_core.systems.pasco import predictor as predictor_module
from pasco_core.systems.pasco.network import PaSCo


def test_the_truth_scores_100_in_every_table(run, tmp_path):
    code, out, err = run("--truth-as-prediction", "--worst", 1)
    assert code == 0 and "3 frames" in err
    truth = next(line for line in out.splitlines() if line.startswith("  truth"))
    assert truth.split()[1:4] == ["100.00"] * 3 and truth.split()[5:] == ["100.00"] * 10
    folder = tmp_path / "out" / "eval" / "truth"
    assert {p.name for p in folder.iterdir()} == {"run.json", "frames", "metrics.json", "timings.json", "report.html"}
    figures = json.loads((folder / "metrics.json").read_text())["results"]["clean"]["truth"]
    assert figures["panoptic"]["standard"]["all"]["pq"] == 1
    assert figures["panoptic"]["standard"]["per_class"]["car"]["true_positives"] == 6


def test_published_numbers_are_labelled_as_published(run):
    _, out, _ = run("--truth-as-prediction", "--no-report")
    rows = [line for line in out.splitlines() if "PaSCo, n =" in line]
    assert rows and all("published" in line for line in rows)
    assert any("29.54" in line for line in rows)


def test_json_is_the_metrics_file_and_nothing_else(run, tmp_path):
    code, out, _ = run("--truth-as-prediction", "--no-report", "--json", "--out", "o")
    assert code == 0 and json.loads(out) == json.loads((tmp_path / "o" / "metrics.json").read_text())
    assert not (tmp_path / "o" / "report.html").exists()


def save_truth(dataset: Path, folder: Path, frames: tuple[int, ...] = (0, 5, 10), shown: int | None = None) -> None:
    """The truth of frames as their prediction, or that of the frame ``shown``."""
    data = open_dataset(dataset)
    for index in frames:
        path = folder / "08" / f"{index:06d}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        truth = data.truth(Frame("08", index if shown is None else shown))
        save_prediction(path, scene_from_truth(truth, data.labels, data.grid))


def test_saved_predictions_are_evaluated(run, dataset, tmp_path):
    save_truth(dataset, tmp_path / "saved")
    code, out, _ = run("--predictions", "saved", "--no-report", "--json")
    figures = json.loads(out)["results"]["clean"]["prediction"]
    assert code == 0 and figures["panoptic"]["standard"]["all"]["pq"] == 1
    assert (tmp_path / "out" / "eval" / "saved" / "metrics.json").exists()


def test_a_missing_saved_prediction_is_named_before_anything_is_done(run, dataset, tmp_path):
    save_truth(dataset, tmp_path / "saved", (0, 10))
    code, _, err = run("--predictions", "saved", "--out", "o")
    assert code == 1 and "saved/08/000005.npz" in err and not (tmp_path / "o").exists()


def test_a_damaged_saved_prediction_is_named(run, dataset, tmp_path):
    save_truth(dataset, tmp_path / "saved")
    path = tmp_path / "saved" / "08" / "000005.npz"
    path.write_bytes(path.read_bytes()[:1000])
    code, _, err = run("--predictions", "saved", "--no-report")
    assert code == 1 and "000005.npz to be a whole prediction file" in err


def test_shards_and_a_merge_give_the_bits_of_one_run(run, tmp_path):
    run("--truth-as-prediction", "--no-report", "--out", "whole")
    for i in (1, 2):
        code, out, err = run("--truth-as-prediction", "--no-report", "--shard", f"{i}/2", "--out", f"part{i}")
        assert code == 0 and "left for other shards" in err and not out
        assert "pasco eval --merge <all parts> --out <folder>" in err
    code, _, _ = run("--merge", "part1", "part2", "--out", "all", "--worst", 1, root=None)
    assert code == 0
    assert (tmp_path / "all" / "metrics.json").read_bytes() == (tmp_path / "whole" / "metrics.json").read_bytes()
    assert "data:image/png" in (tmp_path / "all" / "report.html").read_text()  # the dataset is still there


@pytest.mark.parametrize(
    "environment",
    [
        [{"SLURM_ARRAY_TASK_ID": str(i), "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "1"} for i in (1, 2)],
        [{"RANK": str(i), "WORLD_SIZE": "2", "LOCAL_RANK": str(i)} for i in (0, 1)],
    ],
    ids=["slurm array", "torchrun"],
)
def test_a_launcher_gives_each_process_its_share_and_the_last_one_sums_up(run, tmp_path, monkeypatch, environment):
    run("--truth-as-prediction", "--no-report", "--out", "whole")
    for process in environment:
        for name, value in process.items():
            monkeypatch.setenv(name, value)
        code, _, err = run("--truth-as-prediction", "--no-report", "--out", "shared")
        assert code == 0 and "/2:" in err
    assert (tmp_path / "shared" / "metrics.json").read_bytes() == (tmp_path / "whole" / "metrics.json").read_bytes()


def test_a_second_run_keeps_what_is_there(run, tmp_path):
    run("--truth-as-prediction", "--no-report", "--limit", 2)
    record = tmp_path / "out" / "eval" / "truth" / "frames" / "08" / "000000.json"
    before = record.stat().st_mtime_ns
    code, _, err = run("--truth-as-prediction", "--no-report")
    assert code == 0 and "2 are there already" in err and record.stat().st_mtime_ns == before


def test_other_settings_in_the_same_folder_are_refused(run, dataset, tmp_path):
    save_truth(dataset, tmp_path / "saved")
    run("--truth-as-prediction", "--no-report", "--out", "o")
    code, _, err = run("--predictions", "saved", "--no-report", "--out", "o")
    assert code == 2 and "source is 'truth' there, 'saved predictions' here" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--truth-as-prediction", "--features", "w"], "--features to come with --checkpoint"),
        (["--truth-as-prediction", "--corruptions", "all"], "--corruptions to come with a network"),
        (["--untrained", "--levels", "light"], "--levels to come with --corruptions"),
        (["--untrained", "--corruptions", "rain"], "corruptions to be of fog"),
        (["--untrained", "--corruptions", "fog", "--levels", "extreme"], "levels to be of light"),
        (["--truth-as-prediction", "--jobs", "0"], "--jobs to be at least 1, got 0"),
        (["--truth-as-prediction", "--limit", "0"], "--limit to be at least 1, got 0"),
        (["--truth-as-prediction", "--worst", "-1"], "--worst to be at least 0"),
        (["--truth-as-prediction", "--split", "holiday"], "--split to be train, val, test or all, got 'holiday'"),
        (["--truth-as-prediction", "--sequences", "99"], "sequence '99'"),
        (["--truth-as-prediction", "--shard", "3/2"], "shard"),
        (["--truth-as-prediction", "--device", "tpu"], "Expected devices to be cpu, cuda"),
        (["--truth-as-prediction", "--device", "cpu", "--devices", "cpu"], "--device or --devices"),
        (["--truth-as-prediction", "--devices", "cpu,cpu", "--jobs", "1"], "at least one per device, 2, got 1"),
        (["--truth-as-prediction", "--device", "cuda:97"], "cuda:97"),
        (["--truth-as-prediction", "--devices", "cpu,cuda:97"], "Expected device 'cuda:97' to be there, got a torch"),
        (["--truth-as-prediction", "--devices", "cuda:0,gpu1"], "devices to be cpu, cuda or cuda:N, got 'gpu1'"),
        (["--truth-as-prediction", "--devices", "cpu,"], "devices to be cpu, cuda or cuda:N, got ''"),
        (["--untrained", "--seed", "-1"], "--seed to be 0 to"),
        (["--truth-as-prediction", "--partial"], "--partial to come with --merge"),
        (["--merge", "a", "--out", "b"], "--merge to stand without a dataset"),
        (["--predictions", "a", "--save-predictions", "a"], "--save-predictions to come with predictions made here"),
    ],
)
def test_wrong_use_is_explained_and_leaves_nothing_behind(run, tmp_path, arguments, message):
    code, out, err = run(*arguments)
    assert code == 2 and message in err and not out
    assert not list(tmp_path.iterdir())


def test_a_merge_needs_a_folder_for_its_results(run):
    code, _, err = run("--merge", "a", "b", root=None)
    assert code == 2 and "--merge to come with --out" in err


def test_a_merge_of_what_is_no_result_names_it(run, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = run("--merge", "empty", "--out", "all", root=None)
    assert code == 1 and "Expected empty to be a folder of `pasco eval`" in err and not (tmp_path / "all").exists()


@pytest.mark.parametrize(("root", "code"), [(None, 2), ("nowhere", 1)])
def test_a_dataset_that_is_not_there_is_named(run, root, code):
    got, _, err = run("--truth-as-prediction", root=root)
    assert got == code and (root or "dataset folder") in err


def test_a_checkpoint_that_is_not_there_is_named(run):
    code, _, err = run("--checkpoint", "nothing.safetensors")
    assert code == 1 and "nothing.safetensors" in err


def test_results_that_cannot_be_written_are_refused_at_once(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = run("--truth-as-prediction", "--out", "file")
    assert code == 2 and "Expected --out to be a folder that can be written" in err


def test_a_baseline_without_corruptions_is_refused(run, tmp_path):
    run("--truth-as-prediction", "--no-report", "--out", "base")
    code, _, err = run("--untrained", "--corruptions", "fog", "--baseline", "base", "--out", "mine")
    assert code == 1 and "results under corruptions, got clean scans only" in err
    assert not (tmp_path / "mine").exists()  # it is read before anything is done
    code, _, err = run("--truth-as-prediction", "--baseline", "base", "--out", "mine")
    assert code == 2 and "--baseline to come with --corruptions" in err


def test_a_replaced_prediction_is_evaluated_anew_and_the_others_are_kept(run, dataset, tmp_path):
    save_truth(dataset, tmp_path / "saved")
    run("--predictions", "saved", "--no-report", "--out", "o")
    records = {index: tmp_path / "o" / "frames" / "08" / f"{index:06d}.json" for index in (0, 5, 10)}
    before = {index: path.stat().st_mtime_ns for index, path in records.items()}
    save_truth(dataset, tmp_path / "saved", (5,), shown=10)
    code, out, err = run("--predictions", "saved", "--no-report", "--json", "--out", "o")
    assert code == 0 and "2 are there already" in err
    assert [index for index, path in records.items() if path.stat().st_mtime_ns != before[index]] == [5]
    assert json.loads(out)["results"]["clean"]["prediction"]["completion"]["standard"]["miou"] < 1


def test_parts_of_two_systems_are_not_put_together_though_no_frame_is_in_both(run, dataset, tmp_path):
    save_truth(dataset, tmp_path / "one" / "saved")
    save_truth(dataset, tmp_path / "two" / "saved", shown=5)
    for i, system in ((1, "one"), (2, "two")):
        run("--predictions", f"{system}/saved", "--no-report", "--shard", f"{i}/2", "--out", f"part{i}")
    code, _, err = run("--merge", "part1", "part2", "--out", "all", root=None)
    assert code == 2 and "another prediction of 08/000000" in err and not (tmp_path / "all").exists()


def test_parts_of_one_system_are_put_together_wherever_its_files_are(run, dataset, tmp_path):
    save_truth(dataset, tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "elsewhere" / "other")
    for i, folder in ((1, "here"), (2, "elsewhere/other")):
        run("--predictions", folder, "--no-report", "--shard", f"{i}/2", "--out", f"part{i}")
    code, _, _ = run("--merge", "part1", "part2", "--out", "all", "--no-report", root=None)
    assert code == 0


def other_world(dataset: Path, place: Path, sequence: str) -> Path:
    """A copy of the dataset whose scans and labels are those of another world, as another sequence."""
    folder = place / "sequences" / sequence
    shutil.copytree(dataset / "sequences" / "08", folder)
    for index in (0, 5, 10):
        write_labels(folder / "voxels" / f"{index:06d}.label", RAW_OF_CLASS[np.full((256, 256, 32), 13, np.uint8)])
    return place


@pytest.mark.parametrize(
    ("sequence", "message"),
    [("08", "another truth of 08/000000"), ("00", "no frame that tells whether they have the same dataset")],
)
def test_results_on_two_datasets_are_not_put_together(run, dataset, tmp_path, sequence, message):
    other = other_world(dataset, tmp_path / "town", sequence)
    run("--truth-as-prediction", "--no-report", "--shard", "1/2", "--out", "part1")
    run("--truth-as-prediction", "--no-report", "--shard", "2/2", "--split", "all", "--out", "part2", root=other)
    code, _, err = run("--merge", "part1", "part2", "--out", "all", root=None)
    assert code == 2 and message in err and not (tmp_path / "all").exists()


def test_sequences_of_one_dataset_are_put_together_though_they_share_no_frame(run, dataset, tmp_path):
    both = other_world(dataset, tmp_path / "both", "05")
    shutil.copytree(dataset / "sequences" / "08", both / "sequences" / "08")
    for name in ("05", "08"):
        run("--truth-as-prediction", "--no-report", "--sequences", name, "--out", name, root=both)
    code, out, _ = run("--merge", "05", "08", "--out", "all", "--no-report", "--json", root=None)
    assert code == 0 and len(json.loads(out)["frames"]) == 6


def test_a_dataset_changed_in_its_place_is_not_mixed_with_what_it_was(run, dataset, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    run("--truth-as-prediction", "--no-report", "--limit", 1, "--out", "o", root=copy)
    shutil.rmtree(copy)
    other_world(dataset, copy, "08")
    code, _, err = run("--truth-as-prediction", "--no-report", "--out", "o", root=copy)
    assert code == 2 and "another truth of 08/000000" in err


def test_merged_results_are_merged_again_and_gone_on_with(run, tmp_path):
    run("--truth-as-prediction", "--no-report", "--out", "whole")
    for i in (1, 2, 3):
        run("--truth-as-prediction", "--no-report", "--shard", f"{i}/3", "--out", f"part{i}")
    assert run("--merge", "part1", "part2", "--partial", "--out", "some", "--no-report", root=None)[0] == 0
    for i in (1, 2):
        shutil.rmtree(tmp_path / f"part{i}")
    code, _, _ = run("--merge", "some", "part3", "--out", "some", "--no-report", root=None)
    assert code == 0
    assert (tmp_path / "some" / "metrics.json").read_bytes() == (tmp_path / "whole" / "metrics.json").read_bytes()
    assert "3 are there already" in run("--truth-as-prediction", "--no-report", "--out", "some")[2]
    assert not list(tmp_path.rglob("*.new"))


def test_a_merge_does_not_overwrite_results_of_something_else(run, dataset, tmp_path):
    save_truth(dataset, tmp_path / "saved")
    run("--predictions", "saved", "--no-report", "--out", "mine")
    run("--truth-as-prediction", "--no-report", "--out", "part")
    before = (tmp_path / "mine" / "metrics.json").read_bytes()
    code, _, err = run("--merge", "part", "--out", "mine", root=None)
    assert code == 2 and "source is 'saved predictions' in mine" in err
    assert (tmp_path / "mine" / "metrics.json").read_bytes() == before


@pytest.mark.parametrize(
    "option", [["--corruptions", "all"], ["--jobs", 4], ["--limit", 1], ["--sequences", "08"], ["--untrained"],
               ["--shard", "1/2"], ["--save-predictions", "p"], ["--device", "cpu"]],
    ids=lambda option: option[0],
)
def test_options_that_mean_nothing_to_a_merge_are_refused(run, tmp_path, option):
    code, _, err = run("--merge", "part", "--out", "all", *option, root=None)
    assert code == 2 and f"without options of an evaluation, as it makes none, got {option[0]}" in err
    assert not list(tmp_path.iterdir())


def test_a_start_that_fails_does_not_keep_the_folder_from_others(run, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    code, _, err = run("--checkpoint", "bad.safetensors", "--no-report", "--out", "o")
    assert code == 1 and "bad.safetensors" in err
    assert run("--truth-as-prediction", "--no-report", "--out", "o")[0] == 0


def test_predictions_asked_for_later_are_saved_of_frames_that_are_done(run, dataset, tmp_path):
    run("--truth-as-prediction", "--no-report", "--out", "o")
    save_truth(dataset, tmp_path / "kept", (5,))
    before = (tmp_path / "kept" / "08" / "000005.npz").stat().st_mtime_ns
    code, _, err = run("--truth-as-prediction", "--no-report", "--out", "o", "--save-predictions", "kept")
    assert code == 0 and "1 are there already" in err
    assert {path.name for path in (tmp_path / "kept" / "08").iterdir()} == {"000000.npz", "000005.npz", "000010.npz"}
    assert (tmp_path / "kept" / "08" / "000005.npz").stat().st_mtime_ns == before


def test_predictions_that_cannot_be_saved_are_refused_at_once(run, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = run("--truth-as-prediction", "--save-predictions", "file", "--out", "o")
    assert code == 2 and "Expected --save-predictions to be a folder that can be written" in err
    assert not (tmp_path / "o").exists()


def test_a_split_that_is_not_there_is_explained_with_the_way_out(run, dataset, tmp_path):
    town = other_world(dataset, tmp_path / "town", "00")
    code, _, err = run("--truth-as-prediction", root=town)
    assert code == 1 and "split 'val'" in err and "--split all takes every sequence" in err
    assert run("--truth-as-prediction", "--no-report", "--split", "all", root=town)[0] == 0


class Drawer:
    """Stands for a predictor: its scenes are the random numbers it was given."""

    config = PaSCoConfig(n_subnets=2)

    def predict_all(self, points, *, rng):
        return rng.random(3).tolist()


def test_random_views_depend_on_the_frame_and_not_on_those_before():
    assert _OpenNetwork(Drawer(), seed=7).methods == ("subnet 1", "subnet 2", "ensemble")
    first, second = Frame("08", 0), Frame("08", 5)
    there, back = _OpenNetwork(Drawer(), seed=7), _OpenNetwork(Drawer(), seed=7)
    forward = [there(first, None), there(second, None)]
    backward = [back(second, None), back(first, None)]
    assert forward == backward[::-1] and forward[0] != forward[1]
    assert _OpenNetwork(Drawer(), seed=8)(first, None) != forward[0]


def test_a_predictor_draws_its_views_from_the_generator_of_the_call(monkeypatch):
    drawn = []

    def stop(n_subnets, rng, max_angle):
        drawn.append(rng)
        raise InferenceError("far enough")

    monkeypatch.setattr(predictor_module, "random_transforms", stop)
    tiny = {"width": 8, "query_channels": 48, "ffn_channels": 32, "n_queries": 20, "point_channels": (16, 16, 16)}
    own, of_call = np.random.default_rng(0), np.random.default_rng(1)
    predictor = Predictor(PaSCo(PaSCoConfig(**tiny)), transforms="random", rng=own)
    points = np.array([[5, 0, -1, 0.5]], np.float32)
    for call in (predictor, predictor.predict_all):
        for options in ({}, {"rng": of_call}):
            with pytest.raises(InferenceError, match="far enough"):
                call(points, **options)
    assert [rng is own for rng in drawn] == [True, False, True, False] and drawn[1] is drawn[3] is of_call


def test_a_network_source_refuses_views_that_do_not_exist():
    with pytest.raises(ConfigError, match="transforms to be 'fixed' or 'random', got 'wild'"):
        NetworkSource(transforms="wild")
