"""Reads the authors' PyTorch and Lightning files; the only place that opens a pickle, and never runs what it names."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pasco_core.checkpoints.checkpoint_file import file_sha256
from pasco_core.checkpoints.pickled_values import ALLOWED, plain_values
from pasco_core.errors import CheckpointError
from pasco_core.nn.state_dict import some_of, without_module_prefix

_CONTAINERS = ("state_dict", "net", "model_state_dict", "model")
_FORBIDDEN = re.compile(r"(?:unsupported|Unsupported global:) GLOBAL (\S+)")
_OPERAND = re.compile(r"Unsupported operand \d+")
_LEGACY_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")  # near the start of PyTorch's files before zip
_UNPICKLER = re.compile(r"WeightsUnpickler error:\s*(.*)")


@dataclass(frozen=True)
class TrainingFile:
    """What is of use in a training file.

    Args:
        state_dict: key → dense CPU tensor, keys without the ``module.`` of distributed training.
        hyper_parameters: the settings Lightning stores, as plain values and NumPy arrays; empty where there are none.
        sha256: of the whole file, hexadecimal.
        notes: what was left out or could not be read.
    """

    state_dict: dict[str, Tensor]
    hyper_parameters: dict[str, Any]
    sha256: str
    notes: tuple[str, ...] = field(default=())


def read_training_file(path: str | os.PathLike[str]) -> TrainingFile:
    """Weights and settings of a ``.ckpt`` or ``.pth`` file, zip or legacy format.

    The weights are looked for under ``state_dict`` (Lightning), ``net`` (WaffleIron), ``model_state_dict``, ``model``,
    or at the top. Optimizer states, callbacks and the like are ignored.

    Raises:
        CheckpointError: the file is missing, truncated, no training file, or names anything beyond tensors, NumPy
            arrays, plain values and Lightning's dictionary; nothing it names is run.
    """
    path = Path(path)
    if not path.is_file():
        got = "a directory" if path.is_dir() else "nothing there"
        raise CheckpointError(f"Expected checkpoint {path} to be an existing file, got {got}")
    if path.stat().st_size == 0:
        raise CheckpointError(f"Expected checkpoint {path} to hold weights, got an empty file (0 bytes)")
    sha256 = file_sha256(path)
    content = _unpickle(path)
    state, notes = _state_dict(content, path)
    hyper_parameters, more = _hyper_parameters(content)
    return TrainingFile(state, hyper_parameters, sha256, (*notes, *more))


def _unpickle(path: Path) -> Mapping[str, Any]:
    """The file's dictionary, from PyTorch's restricted unpickler and our allow-list."""
    is_zip = _check_zip(path)
    try:
        with torch.serialization.safe_globals(ALLOWED), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; what cannot be read ends below
            content = torch.load(os.fspath(path), map_location="cpu", weights_only=True, mmap=is_zip)
    # Whatever a hostile or damaged file makes the unpickler raise, it means that this file cannot be read.
    except Exception as error:
        raise CheckpointError(_reason(path, error)) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"Expected {path} to hold a dictionary of weights, got {type(content).__name__}")
    return content


def _check_zip(path: Path) -> bool:
    """Whether the file is a zip archive, refused where damaged or compressed: PyTorch stores its records plainly."""
    with path.open("rb") as file:
        starts_as_zip = file.read(4) == b"PK\x03\x04"
    try:
        with zipfile.ZipFile(path) as archive:
            packed = [entry.filename for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        if starts_as_zip:
            raise CheckpointError(
                f"Expected {path} to be a whole PyTorch file, got a truncated or damaged zip archive "
                f"({path.stat().st_size} bytes): {error}"
            ) from error
        return False
    if packed:
        raise CheckpointError(f"Expected the records of {path} to be stored uncompressed, got {some_of(packed)}")
    return True


def _reason(path: Path, error: Exception) -> str:
    """One sentence for what the unpickler met."""
    text = str(error)
    if forbidden := _FORBIDDEN.search(text):
        return (
            f"Expected {path} to hold only tensors, arrays and plain settings, got a reference to "
            f"'{forbidden[1]}', which could run code; the file was refused and nothing in it was run"
        )
    if _OPERAND.search(text) and (kind := _foreign_kind(path)):
        return f"Expected {path} to be a PyTorch or Lightning file, got {kind}; nothing in it was run"
    if told := _UNPICKLER.search(text):
        return f"Expected {path} to hold only tensors, arrays and plain settings, got {told[1]}; nothing in it was run"
    # PyTorch's own messages tell what is wrong; those of a parser that lost its way ("105") do not.
    detail = f": {text.splitlines()[0][:200]}" if isinstance(error, RuntimeError) and text else ""
    return f"Expected {path} to be a whole PyTorch or Lightning file, got one truncated or of another kind{detail}"


def _foreign_kind(path: Path) -> str:
    """What a file is that PyTorch did not write; empty where it may have."""
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"PK\x03\x04") or _LEGACY_MAGIC in start:
        return ""
    return "a plain pickle" if start.startswith(b"\x80") else "a file of another kind"


def _state_dict(content: Mapping[str, Any], path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The weights, wherever they are, without the prefix that distributed training puts before every key."""
    name = next((key for key in _CONTAINERS if isinstance(content.get(key), Mapping)), None)
    found = content if name is None else content[name]
    if not found or not all(isinstance(key, str) for key in found):
        raise CheckpointError(f"Expected {path} to hold named weights, got {len(found)} entries without names")
    other = [f"{key} ({type(value).__name__})" for key, value in found.items() if not _is_dense(value)]
    if other:
        raise CheckpointError(
            f"Expected {path} to hold a dictionary of dense tensors at the top or under {', '.join(_CONTAINERS)}, "
            f"got {some_of(other)}"
        )
    state = without_module_prefix(found)
    notes = [] if state.keys() == found.keys() else ["prefix 'module.' removed from every key"]
    return {key: value.detach() for key, value in state.items()}, notes


def _is_dense(value: Any) -> bool:
    """A plain tensor whose values are all in the file; a view can claim terabytes that repeat one stored number."""
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized or value.is_meta:
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _hyper_parameters(content: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Lightning's settings; ones that cannot be read do not stand in the way of the weights."""
    raw = content.get("hyper_parameters")
    if not isinstance(raw, Mapping):
        return {}, []
    try:
        return plain_values(dict(raw)), []
    except ValueError as error:
        return {}, [f"hyper-parameters ignored: {error}"]
