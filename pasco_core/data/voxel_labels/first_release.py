"""SemanticKITTI's first voxel release (2019) lies one value late in its files; here is the way from and to it.

The writer of that release began one value too late: the file holds 0 for the first voxel, the first voxel's value for
the second and so on, and the last voxel's value nowhere. With z running fastest, everything seems to stand one voxel
(0.2 m) too high, and the top voxel of a column appears at the bottom of the next. The maintainers confirmed and mended
it in August 2020 (PRBonn/semantic-kitti-api, issue 49), so files downloaded since need nothing of this. Files of that
time can be told by measuring, and are still in circulation.

Measured on ten frames of five sequences whose scans were at hand, and on fifty frames without scans:

- ``.bin`` is the voxelised scan (without unlabelled points) with ``iz = floor((z + 2.2) / 0.2)``, a whole voxel and no
  fraction of one: 2.1 or 2.3 instead of 2.2 fit far worse. Moved back by one value it is ``floor((z + 2) / 0.2)``.
- It is a shift in the file and not in space: in ``.occluded``, the bottom voxel of column (x, y) repeats the top voxel
  of column (x, y - 1), across the end of each row of columns too, not the top or bottom of its own column.
- Layer 0 of ``.bin`` is empty in all fifty frames, and the first bit of every file is 0.
- ``.invalid`` is shifted with the others: as the files are, no input voxel is invalid and every invalid voxel is
  occluded; with any one of them moved alone, hundreds to thousands of voxels would break that.

``.label`` of that release is said to be shifted in the same way; it was not at hand.
"""

from __future__ import annotations

import numpy as np

from pasco_core.errors import DataError
from pasco_core.geometry import VoxelGrid

_SURE = 0.5


def from_first_release(values: np.ndarray) -> np.ndarray:
    """Moves an array (X, Y, Z) read from a file of the first release to where its values belong.

    The last voxel, whose value is not in the file, becomes 0 (False).
    """
    return np.append(values.ravel()[1:], values.dtype.type(0)).reshape(values.shape)


def to_first_release(values: np.ndarray) -> np.ndarray:
    """The array (X, Y, Z) as a file of the first release holds it; the value of the last voxel is lost."""
    return np.append(values.dtype.type(0), values.ravel()[:-1]).reshape(values.shape)


def is_first_release(scan_voxels: np.ndarray, points: np.ndarray, grid: VoxelGrid) -> bool:
    """Whether a ``.bin`` file lies one value late, judged by the scan it was made from.

    Args:
        scan_voxels: (X, Y, Z) bool, the file's content.
        points: (N, 3) metres, the scan.
        grid: the voxels.

    Raises:
        DataError: neither fits; the file belongs to another scan or another grid.
    """
    expected = np.zeros(grid.shape, bool)
    expected[tuple(grid.voxel_of(points[grid.contains(points)]).T)] = True
    agreements = [_overlap(expected, mask) for mask in (scan_voxels, from_first_release(scan_voxels))]
    if max(agreements) < _SURE:
        raise DataError(f"Expected the scan's voxels to overlap .bin by at least {_SURE}, got {max(agreements):.2f}")
    return agreements[1] > agreements[0]


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union; 1 of two empty masks."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0
