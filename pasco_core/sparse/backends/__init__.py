"""Implementations of the sparse operations behind one small interface."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import Protocol

from torch import Tensor

from pasco_core.errors import ConfigError
from pasco_core.sparse import ops
from pasco_core.sparse.tensor import SparseTensor

BACKENDS = ("torch", "minkowski")


class Backend(Protocol):
    """The operations a backend provides; shapes and meaning as in ``pasco_core.sparse.ops``."""

    def submanifold_conv(self, x: SparseTensor, kernel: Tensor, bias: Tensor | None = None) -> SparseTensor: ...

    def strided_conv(self, x: SparseTensor, kernel: Tensor, bias: Tensor | None = None) -> SparseTensor: ...

    def generative_transposed_conv(
        self, x: SparseTensor, kernel: Tensor, bias: Tensor | None = None
    ) -> SparseTensor: ...

    def union_add(self, a: SparseTensor, b: SparseTensor) -> SparseTensor: ...

    def prune(self, x: SparseTensor, keep: Tensor) -> SparseTensor: ...

    def global_pool(self, x: SparseTensor, mode: str = "mean") -> Tensor: ...

    def broadcast(self, x: SparseTensor, values: Tensor) -> SparseTensor: ...


@cache
def get_backend(name: str) -> Backend:
    """The backend called ``name``: "torch" (always there) or "minkowski" (where MinkowskiEngine is installed).

    Raises:
        ConfigError: unknown name, or the backend's library is not installed.
    """
    if name == "torch":
        return ops  # type: ignore[return-value]
    if name == "minkowski":
        if importlib.util.find_spec("MinkowskiEngine") is None:
            raise ConfigError(
                "Expected MinkowskiEngine to be installed for backend 'minkowski', got no such module; "
                "backend 'torch' needs nothing"
            )
        from pasco_core.sparse.backends import minkowski

        return minkowski  # type: ignore[return-value]
    raise ConfigError(f"Expected the backend to be one of {', '.join(BACKENDS)}, got {name!r}")
