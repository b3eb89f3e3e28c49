"""`pasco fuse`: predictions fused along a drive, against the truth."""

from __future__ import annotations

import json
from itertools import count, islice

import numpy as np
import pytest

from pasco_core.cli import main
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import DataError
from pasco_core.evaluation.fusion import FusionEvaluation, PosedFrame, frames_of_sequence, frames_of_town
from pasco_core.geometry import KITTI_GRID
from pasco_core.prediction import ScenePrediction, Segment

pytest.importorskip("embreex", reason="the simulator needs embreex (extra 'sim')")


def perfect(frame: PosedFrame) -> ScenePrediction:
    """The truth as a prediction, with the things numbered anew in every frame."""
    semantics = np.where(frame.truth.semantics == 255, 0, frame.truth.semantics)
    instances = frame.truth.instances.astype(np.int32)
    segments = [
        Segment(int(i), int(semantics[instances == i].max()), True, 0.9, np.zeros(21, np.float32))
        for i in np.unique(instances[instances > 0])
    ]
    voxels = np.flatnonzero(semantics)
    probabilities = np.full((len(voxels), 20), 0.1 / 19, np.float32)
    probabilities[np.arange(len(voxels)), semantics.reshape(-1)[voxels]] = 0.9
    uncertainty = np.full(KITTI_GRID.shape, 0.1, np.float32)
    return ScenePrediction(KITTI_GRID, SEMANTIC_KITTI, semantics, instances, segments, uncertainty, uncertainty, voxels,
                           probabilities)


@pytest.fixture(scope="module")
def drive() -> list[PosedFrame]:
    return list(islice(frames_of_town(41, first=20, step=2), 4))


def test_the_truth_as_prediction_stays_the_truth_and_keeps_every_number(drive: list[PosedFrame]):
    scenes = iter([perfect(frame) for frame in drive])
    ticks = count()
    evaluation = FusionEvaluation(lambda points: next(scenes), lambda: float(next(ticks)))
    for frame in drive:
        evaluation.take(frame)
    results = evaluation.results()
    assert results["single"]["iou"] == results["single"]["miou"] == 100
    assert results["fused"]["iou"] > 95 and results["fused"]["miou"] > 90  # resampled from frame to frame
    identity = results["identity"]
    assert identity["n_switches"] == 0 and identity["n_matched"] > 0.6 * identity["n_truth"] > 5
    assert results["fusion_seconds"] == 1.0 and results["frames"] == 4


def test_frames_without_truth_are_fused_but_not_counted(drive: list[PosedFrame]):
    evaluation = FusionEvaluation(lambda points: perfect(drive[0]), lambda: 0.0)
    frame = drive[0]
    evaluation.take(PosedFrame(frame.points, frame.pose, frame.time, None))
    with pytest.raises(DataError, match="frames with voxel truth, got none among 1"):
        evaluation.results()


def test_a_layout_without_poses_is_refused():
    class Elsewhere:
        root = "somewhere"

    with pytest.raises(DataError, match="SemanticKITTI's layout, which has poses"):
        next(frames_of_sequence(Elsewhere(), "00", 0, 1))


@pytest.mark.parametrize(("arguments", "said"), [
    ([], "either a data set or --town SEED, got neither"),
    (["data", "--town", "3"], "either a data set or --town SEED, got both"),
    (["--town", "3", "--frames", "0"], "number of frames to be at least 1, got 0"),
    (["--town", "3", "--step", "0"], "--step from 1, got 0 and 0"),
])
def test_wrong_use_is_named(arguments, said, capsys):
    assert main(["fuse", *arguments]) == 2
    assert said.split(", got")[0] in capsys.readouterr().err


def test_the_command_prints_its_numbers_as_json(capsys, monkeypatch, drive):
    import pasco_core.systems.pasco

    scenes = iter([perfect(frame) for frame in drive])
    monkeypatch.setattr(pasco_core.systems.pasco, "Predictor", lambda *a, **k: lambda points: next(scenes))
    monkeypatch.setattr("pasco_core.evaluation.fusion.frames_of_town", lambda *a: iter(drive))
    assert main(["fuse", "--town", "41", "--frames", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 2
