"""Voxel labels of a frame from posed, labelled scans: accumulation, majority vote, and what was never seen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pasco_core.data.datasets.voxel_files import voxel_path, write_bits, write_labels
from pasco_core.data.voxel_labels.accumulate import Moving, PosedScan, Votes, voting
from pasco_core.data.voxel_labels.beams import passed_by_beams
from pasco_core.data.voxel_labels.first_release import to_first_release
from pasco_core.data.voxel_labels.sight_lines import SightLines
from pasco_core.data.voxel_labels.view import in_view
from pasco_core.errors import ConfigError, DataError
from pasco_core.geometry import KITTI_GRID, VoxelGrid

FreeSpace = Literal["sight", "view", "beams"]
ENDINGS = (".bin", ".occluded", ".invalid", ".label")


@dataclass(frozen=True)
class LabelOptions:
    """How voxel labels are made.

    Args:
        behind: scans before the frame that are used.
        ahead: scans after the frame that are used.
        within: metres; scans taken farther from the frame are not used.
        moving: what becomes of moving things, see ``accumulate.voting``.
        free_space: how a voxel without points is known to be free. "sight", as in SemanticKITTI: a straight line from a
            sensor's position reaches it past all voxels that any scan found occupied, whether or not a beam went there.
            "beams", as in SSCBench: a measured beam passed through it.
        sight_spacing: metres between positions from which sight is tested; the frame's own is always one.
        min_range: metres around the sensor, seen from above, within which points belong to the own car.

    Raises:
        ConfigError: a value out of its range.
    """

    behind: int = 0
    ahead: int = 70
    within: float = 75.0
    moving: Moving = "own"
    free_space: FreeSpace = "sight"
    sight_spacing: float = 1.0
    min_range: float = 2.75

    def __post_init__(self) -> None:
        for name in ("behind", "ahead", "within", "sight_spacing", "min_range"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ConfigError(f"Expected {name} to be at least 0 and finite, got {value}")
        for name, allowed in (("moving", get_args(Moving)), ("free_space", get_args(FreeSpace))):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"Expected {name} to be one of {', '.join(allowed)}, got {getattr(self, name)!r}")

    def chosen(self, poses: np.ndarray, index: int, available: Sequence[int]) -> list[int]:
        """The scans to use for frame ``index``, ascending, of those ``available``.

        Args:
            poses: (N, 4, 4), of every scan of the drive.
            index: the frame.
            available: scans with points and labels.
        """
        near = [i for i in available if index - self.behind <= i <= index + self.ahead and i < len(poses)]
        return sorted(i for i in near if np.linalg.norm(poses[i, :3, 3] - poses[index, :3, 3]) <= self.within)


@dataclass(frozen=True)
class VoxelLabels:
    """What the four files of a frame hold, each (X, Y, Z).

    Args:
        scan: bool, voxels with labelled points of the frame's own scan (``.bin``).
        raw: uint16, SemanticKITTI's raw id, 0 = empty (``.label``).
        invalid: bool, seen from nowhere: unknown whether occupied (``.invalid``).
        occluded: bool, not seen from the frame's own position (``.occluded``).
    """

    scan: np.ndarray
    raw: np.ndarray
    invalid: np.ndarray
    occluded: np.ndarray


def make_labels(
    scans: Sequence[PosedScan], index: int, options: LabelOptions | None = None, grid: VoxelGrid = KITTI_GRID
) -> VoxelLabels:
    """Voxel labels of frame ``index``, in its LiDAR frame, from its own scan and others of the drive.

    A voxel with points is occupied and has the label of most of them; of the others, those that were seen (see
    ``LabelOptions.free_space``) are empty, and the rest is invalid.

    Raises:
        DataError: the frame's own scan is not among the scans.
    """
    options = options or LabelOptions()
    own = next((scan for scan in scans if scan.index == index), None)
    if own is None:
        raise DataError(f"Expected the scans to include the frame's own, {index}, got {[s.index for s in scans]}")
    votes = Votes(grid)
    for scan in scans:
        keep = voting(scan, scan is own, options.moving, options.min_range)
        votes.add(scan.seen_in(own.pose)[0][keep], scan.raw[keep])
    raw = votes.winners()
    judge = _seen_by_beams if options.free_space == "beams" else _seen_by_sight
    seen_now, seen = judge(scans, own, raw != 0, options, grid)
    return VoxelLabels(_scan_voxels(own, options, grid), raw, ~seen & (raw == 0), ~seen_now)


def _scan_voxels(own: PosedScan, options: LabelOptions, grid: VoxelGrid) -> np.ndarray:
    """Voxels of the frame's own scan, moving things included."""
    votes = Votes(grid)
    keep = voting(own, True, "all", options.min_range)
    votes.add(own.seen_in(own.pose)[0][keep], own.raw[keep])
    return votes.winners() != 0


def _seen_by_sight(
    scans: Sequence[PosedScan], own: PosedScan, occupied: np.ndarray, options: LabelOptions, grid: VoxelGrid
) -> tuple[np.ndarray, np.ndarray]:
    """Masks of what the frame's own position sees, and any position."""
    lines = SightLines(occupied, grid)
    used: list[np.ndarray] = []
    seen_now = seen = np.zeros(grid.shape, bool)
    for scan in sorted(scans, key=lambda scan: (scan is not own, scan.index < own.index, abs(scan.index - own.index))):
        position = scan.seen_in(own.pose)[1]
        if any(np.linalg.norm(position - other) < options.sight_spacing for other in used):
            continue
        used.append(position)
        now = lines.seen_from(position, among=~seen)
        if options.free_space == "view":
            now &= in_view(scan, own.pose, now, options.min_range, grid)
        seen = seen | now
        if scan is own:
            seen_now = now
    return seen_now, seen


def _seen_by_beams(
    scans: Sequence[PosedScan], own: PosedScan, occupied: np.ndarray, options: LabelOptions, grid: VoxelGrid
) -> tuple[np.ndarray, np.ndarray]:
    """Masks of what the frame's own beams passed or hit, and those of any scan."""
    seen_now, seen = _scan_voxels(own, options, grid), occupied.copy()
    for scan in scans:
        points, position = scan.seen_in(own.pose)
        passed = passed_by_beams(position, points[scan.outside_the_car(options.min_range)], grid)
        seen |= passed
        if scan is own:
            seen_now |= passed
    return seen_now, seen


def write_voxel_labels(
    sequence_folder: str | os.PathLike[str], index: int, labels: VoxelLabels, *, as_first_release: bool = False
) -> None:
    """Writes the four files of a frame in SemanticKITTI's layout, each atomically, ``.label`` last.

    Args:
        sequence_folder: ``…/sequences/08``; its folder ``voxels`` is made.
        index: the frame.
        labels: the content.
        as_first_release: one value late, as SemanticKITTI's files before August 2020, see ``first_release``.

    Raises:
        OSError: the folder cannot be made, is not writable or full.
    """
    move = to_first_release if as_first_release else np.asarray
    paths = [voxel_path(sequence_folder, index, ending) for ending in ENDINGS]
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    for path, mask in zip(paths, (labels.scan, labels.occluded, labels.invalid)):
        write_bits(path, move(mask))
    write_labels(paths[-1], move(labels.raw))


def is_written(sequence_folder: str | os.PathLike[str], index: int) -> bool:
    """Whether all four files of a frame are there; each is whole, because it was written atomically."""
    return all(voxel_path(sequence_folder, index, ending).is_file() for ending in ENDINGS)
