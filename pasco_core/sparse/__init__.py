"""Sparse 3D tensors and convolutions in plain PyTorch."""

from pasco_core.sparse.coordinates import CoordinateSet
from pasco_core.sparse.tensor import SparseTensor

__all__ = ["CoordinateSet", "SparseTensor"]
