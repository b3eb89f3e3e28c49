"""Instances of a voxel grid are the connected components of the specification, whichever library finds them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voxel_references import flood_fill

from pasco_core.data.voxel_labels import instances as module
from pasco_core.data.voxel_labels.instances import label_instances
from pasco_core.errors import ConfigError, DataError

THINGS = {1, 2, 5}


@pytest.fixture(params=["cc3d", "scipy"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test with each library that can find components."""
    if request.param == "cc3d":
        pytest.importorskip("cc3d", reason="connected-components-3d is not installed")
    else:
        monkeypatch.setattr(module, "_cc3d", lambda: None)
    return request.param


def random_scene(seed: int, shape: tuple[int, int, int], fill: float = 0.12) -> np.ndarray:
    """Things, stuff, empty and unknown voxels in clumps of all sizes."""
    rng = np.random.default_rng(seed)
    rest = 1 - 3 * fill - 0.15
    return rng.choice(np.array([0, 1, 2, 5, 9, 255], np.uint8), p=[rest, fill, fill, fill, 0.1, 0.05], size=shape)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shape=st.tuples(*[st.integers(1, 9)] * 3), min_voxels=st.integers(1, 12))
def test_both_libraries_find_what_a_flood_fill_finds(seed: int, shape: tuple[int, int, int], min_voxels: int):
    semantics = random_scene(seed, shape)
    expected = flood_fill(semantics, THINGS, min_voxels)
    for use_scipy in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            if use_scipy:
                patch.setattr(module, "_cc3d", lambda: None)
            truth = label_instances(semantics, THINGS, min_voxels)
        np.testing.assert_array_equal(truth.semantics, expected[0])
        np.testing.assert_array_equal(truth.instances, expected[1])


def test_both_libraries_number_a_whole_grid_alike(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("cc3d", reason="connected-components-3d is not installed")
    semantics = random_scene(3, (256, 256, 32), fill=0.03)
    with_cc3d = label_instances(semantics, THINGS)
    monkeypatch.setattr(module, "_cc3d", lambda: None)
    with_scipy = label_instances(semantics, THINGS)
    assert with_cc3d.instances.max() > 100
    np.testing.assert_array_equal(with_cc3d.semantics, with_scipy.semantics)
    np.testing.assert_array_equal(with_cc3d.instances, with_scipy.instances)


def test_voxels_that_share_only_a_corner_are_one_instance(library: str):
    semantics = np.zeros((4, 4, 4), np.uint8)
    semantics[0:2, 0:2, 0:2] = 1
    semantics[2:4, 2:4, 2:4] = 1
    assert set(np.unique(label_instances(semantics, THINGS).instances)) == {0, 1}


def test_touching_things_of_different_classes_are_two_instances_in_class_order(library: str):
    semantics = np.zeros((4, 4, 4), np.uint8)
    semantics[:2], semantics[2:] = 5, 1
    instances = label_instances(semantics, THINGS).instances
    assert (instances[2:] == 1).all() and (instances[:2] == 2).all()


def test_a_component_below_eight_voxels_becomes_unknown_and_leaves_no_gap_in_the_numbers(library: str):
    semantics = np.zeros((12, 3, 3), np.uint8)
    semantics[0:3, 0:3, 0] = 1
    semantics[4:6, 0:3, 0] = 1
    semantics[5, 2, 1] = 1  # seven voxels
    semantics[7, 0:3, 0:3] = 1
    truth = label_instances(semantics, THINGS)
    assert (truth.semantics[4:6, 0:3, 0] == 255).all() and truth.semantics[5, 2, 1] == 255
    assert (truth.instances[4:6] == 0).all()
    assert (truth.instances[0:3, :, 0] == 1).all() and (truth.instances[7] == 2).all()


def test_stuff_empty_and_unknown_voxels_stay_as_they_are(library: str):
    semantics = random_scene(1, (20, 20, 10))
    truth = label_instances(semantics, THINGS)
    other = ~np.isin(semantics, list(THINGS))
    np.testing.assert_array_equal(truth.semantics[other], semantics[other])
    assert (truth.instances[other] == 0).all()


def test_the_input_is_not_changed_and_may_have_any_memory_order(library: str):
    semantics = random_scene(2, (20, 21, 10))
    before = semantics.copy()
    expected = label_instances(semantics, THINGS)
    np.testing.assert_array_equal(semantics, before)
    semantics.setflags(write=False)
    turned = label_instances(np.asfortranarray(semantics), THINGS)
    np.testing.assert_array_equal(turned.instances, expected.instances)
    np.testing.assert_array_equal(turned.semantics, expected.semantics)


@pytest.mark.parametrize("value", [0, 9, 255])
def test_a_grid_without_things_has_no_instances(library: str, value: int):
    semantics = np.full((5, 6, 7), value, np.uint8)
    truth = label_instances(semantics, THINGS)
    assert truth.instances.dtype == np.uint16 and not truth.instances.any()
    np.testing.assert_array_equal(truth.semantics, semantics)


def test_more_instances_than_their_type_can_number_are_refused(library: str):
    semantics = np.zeros((82, 82, 82), np.uint8)
    semantics[::2, ::2, ::2] = 1
    with pytest.raises(DataError, match="at most 65535 instances, got 68921"):
        label_instances(semantics, THINGS, min_voxels=1)


def test_wrong_arrays_and_options_are_refused_by_name():
    with pytest.raises(DataError, match=r"semantics to be a uint8 array .* got int64 of shape"):
        label_instances(np.zeros((2, 2, 2), np.int64), THINGS)
    with pytest.raises(DataError, match=r"got uint8 of shape \(2, 2\)"):
        label_instances(np.zeros((2, 2), np.uint8), THINGS)
    for things in ({0, 1}, {255}, {-1}):
        with pytest.raises(ConfigError, match="thing classes to be 1 to 254"):
            label_instances(np.zeros((2, 2, 2), np.uint8), things)
    with pytest.raises(ConfigError, match="min_voxels to be at least 1, got 0"):
        label_instances(np.zeros((2, 2, 2), np.uint8), THINGS, min_voxels=0)
