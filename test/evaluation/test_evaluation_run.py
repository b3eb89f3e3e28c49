"""Splitting, stopping, going on and putting together: the numbers do not depend on any of it."""

from __future__ import annotations

import json

import pytest
from small_world import FRAMES, ShiftedSource, SourceOnFakeGpus, plan

from pasco_core.data.frame import Frame
from pasco_core.errors import ConfigError, DataError, InferenceError
from pasco_core.evaluation.condition import CLEAN, Condition
from pasco_core.evaluation.frame_record import FrameRecord, record_path
from pasco_core.evaluation.merging import common_run
from pasco_core.evaluation.notes import merged_notes
from pasco_core.evaluation.plan import RunFile, WorkItem, choose_frames
from pasco_core.evaluation.results import Results
from pasco_core.evaluation.run import Workforce, begin, evaluate, usable_cores
from pasco_core.evaluation.summary import summarise
from pasco_core.jobs import Shard


@pytest.fixture
def uncertain():
    """A source whose calibration sums depend on the order of float additions."""
    return ShiftedSource(1, uncertain=True)


@pytest.fixture
def expected(run_plan, uncertain, tmp_path) -> bytes:
    run_plan(plan(uncertain), "whole")
    return (tmp_path / "whole" / "metrics.json").read_bytes()


@pytest.mark.parametrize("count", [2, 4, 7])
def test_shards_put_together_give_the_same_bits_as_one_run(run_plan, uncertain, expected, tmp_path, count):
    for index in reversed(range(count)):
        run_plan(plan(uncertain), f"part{index}", Shard(index, count))
    folders = [tmp_path / f"part{index}" for index in range(count)]
    merged = tmp_path / "merged"
    merged.mkdir()
    Results(summarise(folders, common_run(folders))).write(merged)
    assert (merged / "metrics.json").read_bytes() == expected


def test_shards_in_one_folder_are_summed_up_by_the_last(run_plan, uncertain, expected, tmp_path):
    assert run_plan(plan(uncertain), "same", Shard(1, 2)) is None
    assert run_plan(plan(uncertain), "same", Shard(0, 2)) is not None
    assert (tmp_path / "same" / "metrics.json").read_bytes() == expected


def test_the_number_of_processes_does_not_change_a_bit(run_plan, uncertain, expected, tmp_path):
    run_plan(plan(uncertain), "two", jobs=2)
    assert (tmp_path / "two" / "metrics.json").read_bytes() == expected


def test_the_order_of_the_frames_does_not_change_a_bit(run_plan, uncertain, expected, tmp_path):
    run_plan(plan(uncertain, frames=FRAMES[::-1]), "backwards")
    assert (tmp_path / "backwards" / "metrics.json").read_bytes() == expected


def test_a_stopped_run_goes_on_where_it_was(uncertain, expected, tmp_path):
    out, log = tmp_path / "out", tmp_path / "calls"
    source = ShiftedSource(1, calls=str(log), uncertain=True)
    work = begin(plan(source), "SemanticKITTI", out)
    running = evaluate(work)
    done = [next(running), next(running)]
    running.close()
    assert [item.frame for item in done] == list(FRAMES[:2])

    work = begin(plan(source), "SemanticKITTI", out)
    assert [item.frame for item in work.todo] == list(FRAMES[2:])
    list(evaluate(work))
    assert log.read_text().split() == [str(frame) for frame in FRAMES]  # no frame twice
    Results(summarise([out], work.run)).write(out)
    assert (out / "metrics.json").read_bytes() == expected


def test_an_interrupt_keeps_the_finished_frames(uncertain, tmp_path):
    work = begin(plan(uncertain), "SemanticKITTI", tmp_path)
    running = evaluate(work)
    next(running)
    with pytest.raises(KeyboardInterrupt):
        running.throw(KeyboardInterrupt())
    assert len(list((tmp_path / "frames").rglob("*.json"))) == 1
    assert not list(tmp_path.rglob(".*"))  # no temporary file is left


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_in_a_frame_names_it_and_keeps_the_others(tmp_path, jobs):
    source = ShiftedSource(fails_at=10)
    work = begin(plan(source, frames=FRAMES[:3]), "SemanticKITTI", tmp_path)
    with pytest.raises(DataError, match="Expected 00/000010 to be well"):
        list(evaluate(work, Workforce(jobs)))
    kept = {path.stem for path in (tmp_path / "frames").rglob("*.json")}
    # The other process may not have begun its frame when the run ends.
    assert kept == {"000000", "000005"} if jobs == 1 else kept and kept <= {"000000", "000005"}


def test_a_process_that_is_killed_is_explained(tmp_path):
    work = begin(plan(ShiftedSource(dies_at=5), frames=FRAMES[:3]), "SemanticKITTI", tmp_path)
    with pytest.raises(InferenceError, match=r"killed .*fewer --jobs"):
        list(evaluate(work, Workforce(2)))


def test_results_of_other_settings_are_not_mixed(run_plan):
    run_plan(plan(ShiftedSource(1)))
    with pytest.raises(ConfigError, match="shift is 1 there, 2 here"):
        run_plan(plan(ShiftedSource(2)))


def test_results_of_another_dataset_are_not_mixed(run_plan):
    run_plan(plan(root="world"))
    with pytest.raises(ConfigError, match=r"dataset is '.*world' there, '.*other' here"):
        run_plan(plan(root="other"))


def test_more_frames_of_the_same_settings_are_added(run_plan, uncertain, expected, tmp_path):
    run_plan(plan(uncertain, frames=FRAMES[:2]), "grows")
    run_plan(plan(uncertain), "grows")
    assert (tmp_path / "grows" / "metrics.json").read_bytes() == expected


def test_parts_of_other_settings_are_not_put_together(run_plan, tmp_path):
    run_plan(plan(ShiftedSource(1)), "one")
    run_plan(plan(ShiftedSource(2)), "two")
    with pytest.raises(ConfigError, match=r"shift is 1 in .*one, 2 in .*two"):
        common_run([tmp_path / "one", tmp_path / "two"])


def test_a_missing_part_is_named_unless_a_part_is_enough(run_plan, uncertain, tmp_path):
    run_plan(plan(uncertain), "part", Shard(0, 2))
    run = common_run([tmp_path / "part"])
    with pytest.raises(DataError, match=r"all 6 frames, got none of 3 \(00/000005, 08/000000, 08/000010\)"):
        summarise([tmp_path / "part"], run)
    assert len(summarise([tmp_path / "part"], run, partial=True).frames) == 3


def test_two_parts_that_disagree_about_a_frame_are_refused(run_plan, uncertain, tmp_path):
    run_plan(plan(uncertain), "one")
    run_plan(plan(uncertain), "two")
    path = record_path(tmp_path / "two", WorkItem(CLEAN, FRAMES[3]))
    values = json.loads(path.read_text())
    values["metrics"]["ensemble"]["frames"] = 2
    path.write_text(json.dumps(values))
    folders = [tmp_path / "one", tmp_path / "two"]
    with pytest.raises(DataError, match=r"two/frames/08/000000.json to say the same as .*one/frames/08/000000.json"):
        summarise(folders, common_run(folders))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"format": 99}', "null"])
def test_a_damaged_record_is_named(run_plan, tmp_path, content):
    run_plan(plan(), "out")
    path = record_path(tmp_path / "out", WorkItem(CLEAN, FRAMES[0]))
    path.write_text(content)
    with pytest.raises(DataError, match=r"Expected .*000000.json to be a whole record"):
        summarise([tmp_path / "out"], RunFile.read(tmp_path / "out"))


def test_a_record_of_another_frame_is_refused(run_plan, tmp_path):
    run_plan(plan(), "out")
    one, other = (record_path(tmp_path / "out", WorkItem(CLEAN, frame)) for frame in FRAMES[:2])
    one.write_bytes(other.read_bytes())
    with pytest.raises(DataError, match="to be a record of 00/000000"):
        summarise([tmp_path / "out"], RunFile.read(tmp_path / "out"))


@pytest.mark.parametrize("content", ["{}", "nonsense", "[]", '{"settings": 3}'])
def test_a_damaged_run_file_is_named(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match=r"run.json to be a file of `pasco eval`"):
        RunFile.read(tmp_path)


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(DataError, match=f"Expected {tmp_path} to be a folder of `pasco eval`"):
        common_run([tmp_path])


def test_a_record_is_read_as_it_was_written(run_plan, tmp_path):
    run_plan(plan(ShiftedSource(1)))
    path = record_path(tmp_path / "out", WorkItem(CLEAN, FRAMES[2]))
    record = FrameRecord.read(path)
    before = path.read_bytes()
    assert record.write(tmp_path / "out") == path and path.read_bytes() == before
    assert record.item == WorkItem(CLEAN, FRAMES[2]) and record.seconds["metrics"] >= 0


def test_records_of_corrupted_scans_stand_apart(tmp_path):
    fog = WorkItem(Condition("fog", "heavy"), Frame("08", 5))
    assert record_path(tmp_path, fog) == tmp_path / "corrupted" / "fog" / "heavy" / "08" / "000005.json"
    assert record_path(tmp_path, WorkItem(CLEAN, Frame("08", 5))) == tmp_path / "frames" / "08" / "000005.json"


def test_times_leave_out_the_first_frame_of_each_process(run_plan):
    results = run_plan(plan())
    stage = results.summary.costs.stages["metrics"]
    assert stage.frames == len(FRAMES) - 1 and results.summary.costs.warm
    alone = run_plan(plan(frames=FRAMES[:1]), "alone").summary.costs
    assert alone.stages["metrics"].frames == 1 and not alone.warm


def test_the_metrics_file_knows_nothing_of_this_machine(run_plan, tmp_path):
    run_plan(plan(), "out")
    text = (tmp_path / "out" / "metrics.json").read_text()
    assert str(tmp_path) not in text and "peak_bytes" not in text
    assert "stages" in json.loads((tmp_path / "out" / "timings.json").read_text())


def test_every_nth_frame_is_counted_in_each_sequence():
    frames = [Frame(s, i) for s in ("00", "08") for i in range(5)]
    assert choose_frames(frames, every=2) == tuple(Frame(s, i) for s in ("00", "08") for i in (0, 2, 4))
    assert choose_frames(frames, every=2, limit=4)[-1] == Frame("08", 0)
    with pytest.raises(ConfigError, match="Expected every to be at least 1, got 0"):
        choose_frames(frames, every=0)


def test_many_more_processes_than_frames_are_no_more_than_frames(tmp_path):
    work = begin(plan(frames=FRAMES[:1]), "SemanticKITTI", tmp_path)
    assert [item.frame for item in evaluate(work, Workforce(20000))] == [FRAMES[0]]


def test_processes_take_the_devices_in_turn(tmp_path):
    from multiprocessing import get_context

    from pasco_core.evaluation import worker

    turn = get_context("spawn").Value("i", 0)
    taken = []
    for _ in range(5):
        worker.start(worker.WorkerSettings(plan(), tmp_path, ""), ("cuda:0", "cuda:1"), turn)
        taken.append(worker._PROCESS["device"])
    worker.finish()
    assert taken == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]


def test_two_gpus_share_the_frames_and_change_no_bit(expected, tmp_path):
    """The processes of cuda:0,cuda:1; only the GPUs' names are a stand-in's."""
    work = begin(plan(SourceOnFakeGpus(1, uncertain=True)), "SemanticKITTI", tmp_path / "two")
    done = list(evaluate(work, Workforce(2, ("cuda:0", "cuda:1"))))
    records = [FrameRecord.read(record_path(work.out, item)) for item in done]
    assert {record.device for record in records} == {"fake cuda:0", "fake cuda:1"}
    assert {record.device for record in records if record.first} == {"fake cuda:0", "fake cuda:1"}  # one process each
    assert sum(record.first for record in records) == 2
    Results(summarise([work.out], work.run)).write(work.out)
    assert (work.out / "metrics.json").read_bytes() == expected


def test_an_old_record_without_its_predictions_digest_is_read(run_plan, tmp_path):
    run_plan(plan(frames=FRAMES[:1]))
    path = record_path(tmp_path / "out", WorkItem(CLEAN, FRAMES[0]))
    values = json.loads(path.read_text())
    del values["prediction"]
    path.write_text(json.dumps(values))
    assert FrameRecord.read(path).prediction == ""


def test_shares_in_notes_are_added_and_other_numbers_become_ranges():
    shares = [f"{n} points out of range" for n in ("90 of 1000", "10 of 500")]
    notes = [shares[0], "seen 3 times", shares[1], "seen 7 times", "view 2"]
    assert merged_notes(notes) == {"100 of 1500 points out of range": 2, "seen 3 to 7 times": 2, "view 2": 1}


def test_threads_beyond_the_cores_are_refused():
    with pytest.raises(ConfigError, match="Expected jobs x threads to be at most"):
        Workforce(jobs=usable_cores(), threads=2 * usable_cores())


def test_torch_has_as_many_threads_after_a_run_as_before(run_plan):
    import torch

    before = torch.get_num_threads()
    run_plan(plan())
    assert torch.get_num_threads() == before
