"""From the authors' training files to our checkpoints."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pasco_core.checkpoints.architectures import architecture_of_weights, class_names_of, detect_system
from pasco_core.checkpoints.checkpoint_file import ENDING, save_checkpoint
from pasco_core.checkpoints.header import CheckpointHeader
from pasco_core.checkpoints.training_file import TrainingFile, read_training_file
from pasco_core.errors import CheckpointError, ConfigError
from pasco_core.nn.state_dict import check_state_dict, dtype_of

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class ConversionReport:
    """What was converted.

    Args:
        source: the file read, and ``source_sha256`` its SHA-256.
        target: the checkpoint written.
        system: ``"pasco"`` or ``"waffleiron"``.
        config: the network's configuration, read off keys and shapes.
        class_names: one per class.
        n_tensors: entries written.
        n_parameters: trainable numbers among them.
        notes: what was dropped, changed or contradictory.
    """

    source: Path
    source_sha256: str
    target: Path
    system: str
    config: dict[str, Any]
    class_names: tuple[str, ...]
    n_tensors: int
    n_parameters: int
    notes: tuple[str, ...]


def convert(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> ConversionReport:
    """Read a training file of PaSCo or WaffleIron and write it as a checkpoint of ours.

    The target appears only when everything is checked; an existing one is replaced.

    Raises:
        ConfigError: the target's name does not end in ``.safetensors``, or the target is the source.
        CheckpointError: the source cannot be read safely, is of another architecture, or has missing, unexpected,
            misshapen, contradictory or not finite weights.
        OSError: the target's folder is missing, not writable or full.
    """
    source, target = Path(source), Path(target)
    if target.suffix != ENDING:
        raise ConfigError(f"Expected the name of the new checkpoint to end in {ENDING}, got {target}")
    if source.suffix == ENDING:
        raise ConfigError(f"Expected the source to be a training file (.ckpt, .pth), got {source}, already converted")
    if not target.parent.is_dir():
        raise ConfigError(f"Expected the folder of the new checkpoint to exist, got {target.parent}")
    training_file = read_training_file(source)
    try:
        return _convert(training_file, source, target)
    except CheckpointError as error:
        raise CheckpointError(f"{source}: {error}") from error


def _convert(training_file: TrainingFile, source: Path, target: Path) -> ConversionReport:
    system = detect_system(training_file.state_dict)
    state, notes = _once_each(system, training_file.state_dict)
    architecture = architecture_of_weights(system, state)
    check_state_dict(state, architecture.shapes, f"a {architecture.system} network")
    state, cast = _as_float32(state)
    try:
        class_names = class_names_of(architecture)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
    settings = _contradictions(training_file.hyper_parameters, architecture.config, class_names)
    said = (*training_file.notes, *notes, *cast, *settings)
    header = CheckpointHeader(
        system, architecture.config, class_names, source.name, training_file.sha256, notes=said
    )
    save_checkpoint(target, state, header)
    n_parameters = sum(value.numel() for key, value in state.items() if not key.endswith(_BUFFERS))
    return ConversionReport(
        source, training_file.sha256, target, system, architecture.config, class_names, len(state), n_parameters, said
    )


def _once_each(system: str, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Weights without the transformer's repetitions (checked equal) and the losses' buffers."""
    if system != "pasco":
        return dict(state), []
    from pasco_core.systems.pasco.weights import canonical_state_dict

    canonical = canonical_state_dict(state)
    losses = [key for key in state if key.startswith("criterion.")]
    repeated = len(state) - len(losses) - len(canonical)
    notes = [f"{len(losses)} buffers of the training losses dropped ({', '.join(losses)})"] if losses else []
    if repeated:
        notes.append(f"{repeated} repetitions of transformer_predictor.* dropped, equal to it")
    return canonical, notes


def _as_float32(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Float32 weights and int64 counters, and a note where that changed a type."""
    result, changed = {}, set()
    for key, value in state.items():
        wanted = dtype_of(key)
        if value.is_floating_point() != wanted.is_floating_point:
            raise CheckpointError(f"Expected {key} to be of type {wanted}, got {value.dtype}")
        if value.dtype != wanted:
            changed.add(str(value.dtype).removeprefix("torch."))
        result[key] = value.to(wanted)
    return result, [f"weights converted from {', '.join(sorted(changed))} to float32"] if changed else []


def _contradictions(settings: Mapping[str, Any], config: Mapping[str, Any], class_names: tuple[str, ...]) -> list[str]:
    """Where the file's settings say something else than its weights; the weights are believed."""
    pairs = (("heavy_decoder", "heavy"), ("n_infers", "n_subnets"), ("n_classes", "n_classes"), ("f", "width"))
    notes = [
        f"the file's setting {theirs} is {settings[theirs]!r} but its weights say {config[ours]!r}"
        for theirs, ours in pairs
        if ours in config and isinstance(settings.get(theirs), (int, bool)) and settings[theirs] != config[ours]
    ]
    names = settings.get("class_names")
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        both = enumerate(zip(names, class_names, strict=False))
        differ = [f"{index}: {theirs!r} is {ours!r} here" for index, (theirs, ours) in both if theirs != ours]
        notes += [f"class names differ from the file's ({'; '.join(differ)})"] if differ else []
    return notes
