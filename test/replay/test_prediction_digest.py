"""The digest of a prediction changes with every part of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import replay_stand_in as stand_in

from pasco_core.replay.record import prediction_digest


@pytest.mark.parametrize("name", ["semantics", "panoptic", "voxel_uncertainty", "mask_confidence"])
@pytest.mark.parametrize("where", ["at a predicted voxel", "at any other"])
def test_every_voxel_of_every_layer_counts(name, where):
    scene = stand_in.scene_of(stand_in.points_of(0))
    predicted = np.isin(np.arange(scene.grid.n_voxels), scene.probability_voxels)
    values = getattr(scene, name).copy()
    values.ravel()[np.flatnonzero(predicted == (where == "at a predicted voxel"))[0]] += 1
    assert prediction_digest(replace(scene, **{name: values})) != prediction_digest(scene)


def test_probabilities_and_segments_count_notes_and_times_do_not():
    scene = stand_in.scene_of(stand_in.points_of(0))
    digest = prediction_digest(scene)
    assert prediction_digest(replace(scene, probabilities=scene.probabilities * np.float32(0.5))) != digest
    assert prediction_digest(replace(scene, segments=[])) != digest
    assert prediction_digest(replace(scene, notes=("a note",), timings={"total": 9.0})) == digest


def test_a_value_that_moves_to_another_voxel_changes_the_digest():
    scene = stand_in.scene_of(stand_in.points_of(0))
    first, second = scene.probability_voxels[:2]
    values = scene.voxel_uncertainty.copy()
    values.ravel()[[first, second]] = (0.25, 0.75)
    other = scene.voxel_uncertainty.copy()
    other.ravel()[[first, second]] = (0.75, 0.25)
    assert prediction_digest(replace(scene, voxel_uncertainty=values)) != prediction_digest(
        replace(scene, voxel_uncertainty=other))
