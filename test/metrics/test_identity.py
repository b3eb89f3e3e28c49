"""Identity switches, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.errors import ConfigError, DataError
from pasco_core.metrics.identity import IdentityMetrics


def row(*numbers: int) -> np.ndarray:
    return np.array([[numbers]])


def test_a_drive_counted_by_hand():
    metric = IdentityMetrics()
    metric.update(row(1, 1, 0, 2, 2), row(5, 5, 0, 6, 6))  # both covered
    metric.update(row(1, 1, 0, 0, 3), row(5, 5, 0, 6, 6))  # 6: half of it is not more than half
    metric.update(row(2, 2, 0, 3, 3), row(5, 5, 0, 6, 6))  # both by another track than last
    metric.update(row(2, 2, 0, 3, 3), row(0, 5, 0, 6, 6))  # 5: overlap 1 of 2
    scores = metric.compute()
    assert (scores.n_truth, scores.n_matched, scores.n_switches) == (8, 6, 2)
    assert (scores.n_tracks, scores.n_things) == (3, 2)


def test_a_thing_covered_again_by_its_old_track_is_no_switch():
    metric = IdentityMetrics()
    for track in (4, 0, 4):
        metric.update(row(track, track), row(9, 9))
    assert metric.compute().n_switches == 0


def test_voxels_of_unknown_truth_do_not_count():
    metric = IdentityMetrics()
    metric.update(row(1, 1, 1), row(7, 0, 0), known=np.array([[[True, False, False]]]))
    assert metric.compute().n_matched == 1


def test_a_share_below_one_half_is_refused_because_two_tracks_could_cover_one_thing():
    with pytest.raises(ConfigError, match=r"from 0.5 to below 1, got 0.3"):
        IdentityMetrics(0.3)
    with pytest.raises(DataError, match="to have one shape"):
        IdentityMetrics().update(row(1), row(1, 2))
