"""A device for machines without a GPU: its tensors compute on the CPU, but refuse to be mixed with those of the CPU.

Code that forgets to move a tensor, makes a new one on the CPU, or takes a tensor of the device for a NumPy array fails
here as it would on CUDA. It tells nothing about CUDA's kernels, its speed or its memory.

It is a wrapper around CPU tensors behind PyTorch's PrivateUse1 key, which a process can register only once; so it is
used in processes of its own (``on_stand_in.py``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "standin"
_setup_privateuseone_for_python_backend(NAME)
DEVICE = torch.device(NAME, 0)

_ATEN = torch.ops.aten
# What CUDA too does with tensors of two devices: copies between them, and reading at places that are given on the CPU.
_MAY_MIX = {_ATEN._to_copy.default, _ATEN.copy_.default, _ATEN.index_put_.default, _ATEN.index.Tensor}


class MixedDevices(RuntimeError):
    """Tensors of the device and of the CPU in one operation."""


class StandInTensor(torch.Tensor):
    """A tensor on the stand-in device."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> StandInTensor:
        with torch.inference_mode(False):  # a wrapper made in inference mode could not be a view of a parameter
            outer = torch.Tensor._make_wrapper_subclass(
                cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
                device=DEVICE,
            )
        outer.inner = inner
        return outer

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        return _run(function, arguments, options or {})

    def tolist(self) -> Any:
        """As on any device."""
        return self.inner.tolist()

    def numpy(self, *_: Any, **__: Any) -> Any:
        """As on CUDA: not without ``cpu()``."""
        raise TypeError(f"can't convert a tensor of {NAME} to numpy: use Tensor.cpu() first")

    __array__ = numpy


class StandIn(TorchDispatchMode):
    """While it lasts, tensors can be made on the stand-in device and moved to it."""

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), options: Any = None) -> Any:
        return _run(function, arguments, options or {})


def _run(function: Any, arguments: Any, options: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_leaves((arguments, options)) if isinstance(leaf, torch.Tensor)]
    ours = [tensor for tensor in tensors if isinstance(tensor, StandInTensor)]
    others = [tensor for tensor in tensors if not isinstance(tensor, StandInTensor) and tensor.ndim > 0]
    reads_ours = function is _ATEN.index.Tensor and not isinstance(arguments[0], StandInTensor)
    if ours and (reads_ours or (others and function not in _MAY_MIX)):
        shapes = [tuple(tensor.shape) for tensor in others]
        raise MixedDevices(f"{function} of tensors on {NAME} and, of shapes {shapes}, on the CPU")
    devices = [leaf for leaf in tree_leaves((arguments, options)) if isinstance(leaf, torch.device)]
    to_ours = devices[0].type == NAME if devices else bool(ours)
    results = function(*tree_map(_on_cpu, arguments), **tree_map(_on_cpu, options))
    outer = {id(tensor.inner): tensor for tensor in ours}

    def wrapped(result: Any) -> Any:
        if not isinstance(result, torch.Tensor):
            return result
        if devices:
            result = result.clone()  # moving to where a tensor is already gives the tensor itself
        elif id(result) in outer:
            return outer[id(result)]
        return StandInTensor(result) if to_ours else result

    return tree_map(wrapped, results)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, StandInTensor):
        return value.inner
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _empty_strided(size: Any, stride: Any, dtype: Any = None, **_: Any) -> torch.Tensor:
    return StandInTensor(torch.empty_strided(size, stride, dtype=dtype))


def _empty(size: Any, dtype: Any = None, **_: Any) -> torch.Tensor:
    return StandInTensor(torch.empty(size, dtype=dtype))


def _copy_from(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    _on_cpu(target).copy_(_on_cpu(source))
    return target


# ``torch.tensor(..., device=...)`` asks for these behind the mode's back.
_LIBRARY = torch.library.Library("aten", "IMPL")
_LIBRARY.impl("empty_strided", _empty_strided, "PrivateUse1")
_LIBRARY.impl("empty.memory_format", _empty, "PrivateUse1")
_LIBRARY.impl("_copy_from", _copy_from, "PrivateUse1")
