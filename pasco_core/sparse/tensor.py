"""The one sparse tensor type."""

from __future__ import annotations

import torch
from torch import Tensor

from pasco_core.errors import DataError
from pasco_core.sparse.coordinates import CoordinateSet


class SparseTensor:
    """Features on a set of voxels; immutable, operations return new tensors.

    Args:
        coords: (N, 4) int tensor [batch, x, y, z], unique, multiples of ``stride`` (not divided by it).
        feats: (N, C) features.
        stride: voxel spacing in finest-voxel units.

    >>> x = SparseTensor(torch.tensor([[0, 0, 0, 0], [0, 2, 0, -2]]), torch.ones(2, 3), stride=2)
    >>> x.n_voxels, x.n_channels
    (2, 3)
    """

    def __init__(self, coords: Tensor | CoordinateSet, feats: Tensor, stride: int = 1):
        coordinates = coords if isinstance(coords, CoordinateSet) else CoordinateSet(coords, stride)
        if feats.ndim != 2 or len(feats) != len(coordinates):
            raise DataError(f"Expected features to be of shape ({len(coordinates)}, C), got {tuple(feats.shape)}")
        if feats.device != coordinates.device:
            raise DataError(f"Expected features to be on {coordinates.device} like the coordinates, got {feats.device}")
        self._coordinates = coordinates
        self._feats = feats

    @property
    def coordinates(self) -> CoordinateSet:
        """The coordinate set, shared with every tensor made from this one without moving voxels."""
        return self._coordinates

    @property
    def coords(self) -> Tensor:
        return self._coordinates.coords

    @property
    def feats(self) -> Tensor:
        return self._feats

    @property
    def stride(self) -> int:
        return self._coordinates.stride

    @property
    def n_voxels(self) -> int:
        return len(self._feats)

    @property
    def n_channels(self) -> int:
        return self._feats.shape[1]

    @property
    def device(self) -> torch.device:
        return self._feats.device

    def with_feats(self, feats: Tensor) -> SparseTensor:
        """The same voxels with other features (N, C')."""
        return SparseTensor(self._coordinates, feats)

    def __repr__(self) -> str:
        return f"SparseTensor({self.n_voxels} voxels, {self.n_channels} channels, stride {self.stride}, {self.device})"
