"""The window that follows the vehicle: which voxel lies where, against looking at every voxel by itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pasco_core.fusion.rolling_window import RollingWindow
from pasco_core.geometry import VoxelGrid

FRAME = VoxelGrid(origin=(0.0, -1.6, -0.4), voxel_size=0.2, shape=(16, 16, 4))


def some_pose(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("zyx", rng.uniform(-1, 1, 3) * [180, 8, 8], degrees=True).as_matrix()
    pose[:3, 3] = rng.uniform(-30, 30, 3)
    return pose


def moved(window: RollingWindow, centre) -> None:
    for _ in window.move_to(np.asarray(centre, float)):
        pass


def lattice_of(window: RollingWindow) -> np.ndarray:
    """(voxels, 3) lattice index of the voxel that each flat place of the window holds."""
    size = np.array(window.shape)
    places = np.stack(np.unravel_index(np.arange(size.prod()), window.shape), 1)
    return window.lower + (places - window.lower) % size


@pytest.mark.parametrize("seed", range(4))
def test_every_voxel_of_the_window_meets_the_frame_voxel_that_its_centre_lies_in(seed: int):
    pose = some_pose(seed)
    window = RollingWindow((24, 28, 20), 0.2)
    moved(window, pose[:3, :3] @ [1.6, 0, 0] + pose[:3, 3])
    overlap = window.overlap(FRAME, pose)
    inside = overlap.sources >= 0
    found = dict(zip(overlap.slots[inside].tolist(), overlap.sources[inside].tolist(), strict=True))
    centres = (lattice_of(window) + 0.5) * 0.2
    local = (centres - pose[:3, 3]) @ pose[:3, :3]
    steps = (local - FRAME.origin) / 0.2
    safe = (np.abs(steps - np.rint(steps)) > 1e-3).all(1)  # not on a border, where rounding decides
    index = np.floor(steps).astype(int)
    expected = ((index >= 0) & (index < FRAME.shape)).all(1)
    for slot in np.flatnonzero(safe):
        flat = np.ravel_multi_index(index[slot], FRAME.shape) if expected[slot] else None
        assert found.get(int(slot)) == flat
    assert expected.sum() > 500


@pytest.mark.parametrize("seed", range(4))
def test_every_voxel_of_a_frame_finds_the_voxel_of_the_window_that_its_centre_lies_in(seed: int):
    pose = some_pose(seed)
    window = RollingWindow((16, 16, 8), 0.2)
    moved(window, pose[:3, 3])
    slots = window.slots_of(FRAME, pose)
    voxels = np.stack(np.unravel_index(np.arange(FRAME.n_voxels), FRAME.shape), 1)
    steps = (FRAME.centre_of(voxels) @ pose[:3, :3].T + pose[:3, 3]) / 0.2
    safe = (np.abs(steps - np.rint(steps)) > 1e-3).all(1)
    index = np.floor(steps).astype(int)
    inside = ((index >= window.lower) & (index < window.lower + window.shape)).all(1)
    assert (slots[safe & ~inside] == -1).all()
    lattice = lattice_of(window)
    assert np.array_equal(lattice[slots[safe & inside]], index[safe & inside])
    assert 50 < inside.sum() < len(inside)


def test_moving_clears_exactly_what_was_not_in_the_window_before():
    window = RollingWindow((8, 10, 6), 0.5)
    moved(window, (0, 0, 0))
    rng = np.random.default_rng(0)
    for _ in range(30):
        before = {tuple(v) for v in lattice_of(window).tolist()}
        cleared = np.zeros(window.shape, bool)
        for index in window.move_to(rng.uniform(-3, 3, 3)):
            cleared[index] = True
        new = [tuple(v) not in before for v in lattice_of(window).tolist()]
        assert np.array_equal(cleared.reshape(-1), new)


def test_an_array_in_order_begins_at_the_windows_lower_corner():
    window = RollingWindow((4, 5, 6), 1.0)
    moved(window, (7.3, -2.2, 11.9))
    x = window.in_order(lattice_of(window)[:, 0].reshape(window.shape))
    assert np.array_equal(x[:, 0, 0], window.lower[0] + np.arange(4))
    assert window.grid.origin == tuple(window.lower.astype(float))


def test_a_frame_beside_the_window_meets_nothing():
    window = RollingWindow((8, 8, 8), 0.2)
    moved(window, (100, 0, 0))
    assert window.overlap(FRAME, np.eye(4)).slots.size == 0
