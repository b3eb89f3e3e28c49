"""Tracks by themselves: numbers that messages can hold, and a filter that is the textbook's."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.fusion import FusionConfig
from pasco_core.fusion.tracks import MAX_TRACKS, Detection, TrackStore

CAR = 1


def seen(x: float, y: float = 0.0) -> Detection:
    return Detection(CAR, 0.9, np.array([x, y, 0.0]), np.array([4.0, 2.0, 1.5]))


def test_numbers_begin_again_where_messages_end_and_leave_out_those_in_use():
    store = TrackStore(20, FusionConfig(forget_after=0.5))
    assert store.follow([seen(0)], 0.0) == [1]
    store._next = MAX_TRACKS
    assert store.follow([seen(0), seen(50), seen(100)], 0.1) == [1, MAX_TRACKS, 2]


def test_the_filter_is_the_constant_velocity_one_of_the_textbook():
    store = TrackStore(20, FusionConfig())
    xs, dt = [0.0, 0.7, 1.3, 2.2], 0.1
    state, covariance = np.array([0.0, 0.0]), np.diag([0.3**2, 10.0**2])
    store.follow([seen(0.0)], 0.0)
    for k, x in enumerate(xs[1:], 1):
        store.follow([seen(x)], k * dt)
        forward = np.array([[1, dt], [0, 1]])
        push = np.array([[dt**2 / 2], [dt]])
        state, covariance = forward @ state, forward @ covariance @ forward.T + 9.0 * push @ push.T
        gain = covariance @ [1, 0] / (covariance[0, 0] + 0.3**2)
        state, covariance = state + gain * (x - state[0]), covariance - np.outer(gain, [1, 0] @ covariance)
    track = store.tracks[1]
    assert [track.centre[0], track.velocity[0]] == pytest.approx(state.tolist(), abs=1e-9)
    assert track.n_frames == 4


def test_a_thing_far_from_where_the_track_should_be_is_another_one():
    store = TrackStore(20, FusionConfig())
    assert store.follow([seen(0)], 0.0) == [1]
    assert store.follow([seen(20)], 0.1) == [2]
