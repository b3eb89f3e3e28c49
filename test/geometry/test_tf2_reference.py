"""The buffers of transforms against what the real tf2 answers about a recorded tree of frames."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pasco_core.errors import TransformError
from pasco_core.geometry.transform_tree import TransformTree


@pytest.fixture(scope="module")
def script(repository):
    """The script that asks tf2."""
    spec = importlib.util.spec_from_file_location("tf2_reference", repository / "scripts" / "write_tf2_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reference(script):
    return json.loads(script.REFERENCE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tf2():
    return pytest.importorskip("tf2_ros", reason="tf2_ros is not there: it comes with a ROS installation")


def own_buffer():
    return TransformTree()


def tf2_buffer():
    pytest.importorskip("tf2_ros", reason="tf2_ros is not there: it comes with a ROS installation")
    from pasco_ros.frames.tf2_buffer import Tf2Buffer

    return Tf2Buffer()


def kind_of(exception, time, newest):
    """Our reason for what tf2 refused."""
    if exception == "LookupException":
        return "UNKNOWN_FRAME"
    if newest is None:  # two trees; tf2 may name the time first, if that is not known in one of them either
        assert exception in ("ConnectivityException", "ExtrapolationException")
        return "NOT_CONNECTED"
    assert exception == "ExtrapolationException"
    return "EXTRAPOLATION_FUTURE" if time > newest else "EXTRAPOLATION_PAST"


def compare(buffer, samples, lookups):
    """Fill a buffer, compare every answer with tf2's; returns how often which kind of answer was due."""
    for parent, child, static, time, *numbers in samples:
        assert buffer.insert(parent, child, time, numbers[:3], numbers[3:], static)
    kinds = Counter()
    for target, source, time, answer, newest in lookups:
        if isinstance(answer, str):
            kind = kind_of(answer, time, newest)
            with pytest.raises(TransformError) as caught:
                buffer.lookup(target, source, time)
            assert caught.value.reason == kind, (target, source, time)
        else:
            kind = "answered"
            found = buffer.lookup(target, source, time)
            np.testing.assert_allclose(found[:3, 3], answer[:3], rtol=0, atol=1e-9)
            turn = Rotation.from_matrix(found[:3, :3]).inv() * Rotation.from_quat(answer[3:])
            assert turn.magnitude() < 1e-9, (target, source, time)
            assert buffer.newest_common(target, source) == (newest or None)  # tf2 says 0 where nothing moves
        kinds[kind] += 1
    return kinds


@pytest.mark.parametrize("make", [own_buffer, tf2_buffer])
def test_a_recorded_tree_gives_the_poses_and_the_refusals_of_tf2(reference, make):
    kinds = compare(make(), reference["samples"], reference["lookups"])
    assert kinds.pop("answered") >= 80
    assert min(kinds.values()) >= 2 and set(kinds) == {
        "UNKNOWN_FRAME", "NOT_CONNECTED", "EXTRAPOLATION_PAST", "EXTRAPOLATION_FUTURE"
    }


def test_the_reference_is_what_the_installed_tf2_answers(reference, script, tf2):
    samples = script.recording(7)
    assert samples == reference["samples"]
    rows = script.answers(samples, [tuple(row[:3]) for row in reference["lookups"]])
    for row, expected in zip(rows, reference["lookups"], strict=True):
        assert row[4] == expected[4] and isinstance(row[3], str) == isinstance(expected[3], str)
        if isinstance(row[3], str):
            assert row[3] == expected[3]
        else:
            np.testing.assert_allclose(row[3], expected[3], rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [own_buffer, tf2_buffer])
@pytest.mark.parametrize("seed", range(3))
def test_any_recording_gives_the_poses_and_the_refusals_of_the_installed_tf2(script, tf2, seed, make):
    samples = script.recording(seed)
    compare(make(), samples, script.answers(samples, script.questions(samples, seed, 300)))
