"""Our checkpoints: safetensors with a header, written whole or not at all, checked before anything uses them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pasco_core.atomic_write import atomic_write
from pasco_core.checkpoints.architectures import architecture_of_config
from pasco_core.checkpoints.header import CheckpointHeader
from pasco_core.errors import CheckpointError
from pasco_core.nn.state_dict import check_state_dict, dtype_of, some_of

ENDING = ".safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A checked checkpoint.

    Args:
        state_dict: key → tensor on the CPU, float32 (batch counters int64), independent of the file.
        header: what the file says about itself.
        sha256: of the whole file, hexadecimal.
    """

    state_dict: dict[str, Tensor]
    header: CheckpointHeader
    sha256: str


def save_checkpoint(
    path: str | os.PathLike[str], state_dict: Mapping[str, Tensor], header: CheckpointHeader, compact: bool = False
) -> None:
    """Write ``state_dict`` and ``header``; an interrupted or failed write leaves an existing file as it was.

    Args:
        path: ends in ``.safetensors``.
        state_dict: float32 weights.
        header: what they are.
        compact: half the size: matrices and kernels in float16, which is read back as float32. Vectors (biases, norms
            and their statistics, which can be tiny or large) stay float32.

    Raises:
        CheckpointError: the name does not end in ``.safetensors``, or the weights break a rule of ``load_checkpoint``.
        OSError: the folder is missing, not writable or full.
    """
    path = Path(path)
    if path.suffix != ENDING:
        raise CheckpointError(f"Expected the name of the checkpoint to end in {ENDING}, got {path}")
    check_weights(state_dict, header, str(path))
    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in state_dict.items()}
    if compact:
        tensors = {key: value.half() if value.ndim > 1 else value for key, value in tensors.items()}
        check_weights(_widened(tensors), header, f"{path} in float16")
    with atomic_write(path) as temporary:
        save_file(tensors, temporary, metadata=header.to_metadata())


def load_checkpoint(path: str | os.PathLike[str], system: str | None = None) -> Checkpoint:
    """Read a checkpoint and check it whole: format, header, keys, shapes, types and values.

    Args:
        path: ends in ``.safetensors``.
        system: which network it must be of, "pasco" or "waffleiron"; None: any.

    Raises:
        CheckpointError: the file is missing, not ours, truncated, of a newer format or of another architecture, or has
            missing, unexpected, misshapen or not finite weights; the message names the file and the reason.
    """
    path = Path(path)
    _check_path(path)
    try:
        sha256 = file_sha256(path)
        with safe_open(path, framework="pt", device="cpu") as file:
            header = CheckpointHeader.from_metadata(file.metadata(), str(path))
            # Cloned, so that a file changed later under the memory map cannot change the weights.
            state_dict = _widened({key: file.get_tensor(key).clone() for key in file.keys()})  # noqa: SIM118
    except SafetensorError as error:
        size = path.stat().st_size
        raise CheckpointError(
            f"Expected {path} to be a whole safetensors file, got {size} bytes that are truncated or not one: {error}"
        ) from error
    except OSError as error:
        raise CheckpointError(f"Expected {path} to be readable, got {error.strerror or error}") from error
    if system is not None and header.system != system:
        raise CheckpointError(f"Expected {path} to be a network of {system}, got one of {header.system}")
    check_weights(state_dict, header, str(path))
    return Checkpoint(state_dict, header, sha256)


def _widened(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices and kernels of a compact file as float32."""
    return {
        key: value.float() if value.dtype == torch.float16 and value.ndim > 1 else value
        for key, value in tensors.items()
    }


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def check_weights(state_dict: Mapping[str, Tensor], header: CheckpointHeader, source: str) -> None:
    """Check the weights of file ``source`` against its header.

    Raises:
        CheckpointError: class names, keys, shapes, types or values do not fit; up to ten are named.
    """
    try:
        architecture = architecture_of_config(header.system, header.config)
        if len(header.class_names) != architecture.n_classes:
            raise CheckpointError(
                f"Expected the class names to be {architecture.n_classes}, as many as the network's classes, "
                f"got {len(header.class_names)}"
            )
        check_state_dict(state_dict, architecture.shapes, f"the {header.system} network of the header")
        _check_types(state_dict)
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from error


def _check_types(state_dict: Mapping[str, Tensor]) -> None:
    wrong = [
        f"{key} {str(value.dtype).removeprefix('torch.')}"
        for key, value in state_dict.items()
        if value.dtype != dtype_of(key)
    ]
    if wrong:
        raise CheckpointError(f"Expected the weights to be float32 (batch counters int64), got {some_of(wrong)}")


def _check_path(path: Path) -> None:
    """Name the mistakes a user makes with a path before any parser does."""
    if not path.exists():
        raise CheckpointError(f"Expected checkpoint {path} to be an existing file, got nothing there")
    if not path.is_file():
        kind = "a directory" if path.is_dir() else "a device, pipe or socket"
        raise CheckpointError(f"Expected checkpoint {path} to be a file, got {kind}")
    if path.suffix != ENDING:
        hint = (
            f"; run `pasco convert {path.name} {path.stem}{ENDING}` first"
            if path.suffix in (".ckpt", ".pth", ".pt", ".tar", ".bin")
            else ""
        )
        raise CheckpointError(f"Expected checkpoint {path} to be a {ENDING} file, got '{path.suffix}'{hint}")
