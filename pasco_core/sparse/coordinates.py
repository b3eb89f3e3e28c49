"""An immutable set of voxel coordinates: finds rows by coordinate and keeps the kernel maps made from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from pasco_core.errors import DataError

# Up to this many cells the index is a dense int32 table (one gather per look-up); beyond, sorted keys and bisection.
DENSE_INDEX_CELLS = 1 << 26
# Free cells around the set, so that 3³ kernels and the 4³ tiles of the block algorithm never leave the table.
HALO = 2

T = TypeVar("T")


class CoordinateSet:
    """Unique integer coordinates at one stride.

    Whatever is derived from the coordinates alone (index, kernel maps, parents) is computed on first use and kept, so
    that every layer working on this set shares it.

    Args:
        coords: (N, 4) int tensor of [batch, x, y, z]; x, y, z are multiples of ``stride`` and may be negative.
        stride: distance between neighbouring voxels, in finest-voxel units.

    Raises:
        DataError: wrong shape, dtype or stride; coordinates off the stride, repeated, or too far apart for a key.
    """

    def __init__(self, coords: Tensor, stride: int = 1):
        if coords.ndim != 2 or coords.shape[1] != 4 or coords.dtype.is_floating_point or coords.dtype == torch.bool:
            raise DataError(
                "Expected coordinates to be an integer tensor of shape (N, 4), "
                f"got {tuple(coords.shape)} {coords.dtype}"
            )
        if stride < 1:
            raise DataError(f"Expected the stride to be a positive integer, got {stride}")
        self.coords = coords.to(torch.int32).contiguous()
        self.stride = stride
        self._derived: dict[object, object] = {}

    def __len__(self) -> int:
        return len(self.coords)

    @property
    def device(self) -> torch.device:
        return self.coords.device

    def derive(self, key: object, make: Callable[[], T]) -> T:
        """``make()`` on the first call with this key, the kept result afterwards."""
        if key not in self._derived:
            self._derived[key] = make()
        return self._derived[key]  # type: ignore[return-value]

    @property
    def index(self) -> CoordinateIndex:
        """The look-up structure over this set."""
        return self.derive("index", lambda: CoordinateIndex(self))

    def rows_of(self, coords: Tensor) -> Tensor:
        """Row (M,) int64 of each coordinate (M, 4) in this set, -1 where it is absent."""
        if len(self) == 0 or len(coords) == 0:
            return torch.full((len(coords),), -1, dtype=torch.int64, device=coords.device)
        return self.index.find(coords)


class CoordinateIndex:
    """Maps coordinates to rows through one integer key per cell of the padded bounding box.

    A neighbour's key is the voxel's key plus a constant, so kernel maps need one addition and one look-up per entry.
    """

    def __init__(self, coordinates: CoordinateSet):
        coords, self.stride = coordinates.coords, coordinates.stride
        self.n_rows = len(coords)
        cells = self._cells(coords, check=True)
        lower, upper = cells.min(0).values, cells.max(0).values
        lower[1:] = (lower[1:] - HALO) // 2 * 2  # even, so that the tiles of the block algorithm are aligned
        upper[1:] += HALO + 1
        self.lower, size = lower, (upper - lower + 1).tolist()
        n_cells = size[0] * size[1] * size[2] * size[3]
        if n_cells >= 1 << 62:
            raise DataError(f"Expected the coordinates' bounding box to hold under 2^62 voxels, got {n_cells}")
        self.size = torch.tensor(size, device=coords.device)
        self.steps = torch.tensor([size[1] * size[2] * size[3], size[2] * size[3], size[3], 1], device=coords.device)
        self.cells = cells - lower  # (N, 4) from the even-aligned lower corner of the padded box
        self.keys = (self.cells * self.steps).sum(1)
        self._dense = n_cells <= DENSE_INDEX_CELLS
        if self._dense:
            rows = torch.arange(self.n_rows, dtype=torch.int32, device=coords.device)
            self._table = torch.full((n_cells,), self.n_rows, dtype=torch.int32, device=coords.device)
            self._table[self.keys] = rows
            unique = torch.equal(self._table[self.keys], rows)
        else:
            self._sorted, self._order = torch.sort(self.keys)
            unique = not bool((self._sorted[1:] == self._sorted[:-1]).any())
        if not unique:
            raise DataError(f"Expected coordinates to be unique, got repeated ones among {self.n_rows}")

    def _cells(self, coords: Tensor, check: bool = False) -> Tensor:
        cells = coords.to(torch.int64)
        if self.stride > 1:
            spatial = cells[:, 1:]
            if check and bool((spatial % self.stride).any()):
                raise DataError(f"Expected coordinates to be multiples of the stride {self.stride}, got others")
            cells = torch.cat([cells[:, :1], torch.div(spatial, self.stride, rounding_mode="floor")], 1)
        return cells

    def keys_of(self, coords: Tensor) -> Tensor:
        """Keys (M,) of coordinates (M, 4) that lie in the padded box."""
        return ((self._cells(coords) - self.lower) * self.steps).sum(1)

    def rows_at(self, keys: Tensor) -> Tensor:
        """Int32 row at each key of the padded box, ``n_rows`` where the cell is free."""
        if self._dense:
            return self._table[keys]
        flat = keys.reshape(-1)
        place = torch.searchsorted(self._sorted, flat).clamp_(max=self.n_rows - 1)
        rows = torch.where(self._sorted[place] == flat, self._order[place], self.n_rows)
        return rows.to(torch.int32).view(keys.shape)

    def deltas(self, offsets: Tensor) -> Tensor:
        """Key differences (K,) of spatial cell offsets (K, 3)."""
        return (offsets * self.steps[1:]).sum(1)

    def find(self, coords: Tensor) -> Tensor:
        """Row (M,) int64 of each coordinate (M, 4), -1 where absent or off the stride."""
        cells = self._cells(coords) - self.lower
        inside = ((cells >= 0) & (cells < self.size)).all(1)
        if self.stride > 1:
            inside &= (coords[:, 1:] % self.stride == 0).all(1)
        keys = (cells * self.steps).sum(1).masked_fill_(~inside, 0)
        rows = self.rows_at(keys).to(torch.int64)
        return torch.where(inside & (rows < self.n_rows), rows, -1)


def unique_rows(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct rows (U, D) of integers (N, D) in lexicographic order, and for each row (N,) which of them it is.

    One integer key per row: several times faster than ``torch.unique`` along a dimension.
    """
    if len(rows) == 0:
        return rows, rows.new_zeros(0, dtype=torch.int64)
    low = rows.amin(0).to(torch.int64)
    size = rows.amax(0) - low + 1
    steps = torch.cat([size[1:].flip(0).cumprod(0).flip(0), size.new_ones(1)])
    keys, which = torch.unique(((rows - low) * steps).sum(1), return_inverse=True)
    unique = torch.div(keys[:, None], steps, rounding_mode="floor") % size + low
    return unique.to(rows.dtype), which
