"""What a checkpoint needs to know of each network: its keys, configuration, shapes and classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from pasco_core.data.label_set import SEMANTIC_KITTI, label_set_for
from pasco_core.errors import CheckpointError, ConfigError

_MAX_SIZE = 65536

# The systems' packages import this one, so what is taken from them is imported where it is used.


@dataclass(frozen=True)
class Architecture:
    """A network as its configuration describes it.

    Args:
        system: ``"pasco"`` or ``"waffleiron"``.
        config: plain JSON values.
        n_classes: classes the network tells apart.
        shapes: key → shape of every entry of the state dict.
    """

    system: str
    config: dict[str, Any]
    n_classes: int
    shapes: dict[str, tuple[int, ...]]


def detect_system(keys: Iterable[str]) -> str:
    """Which network the keys belong to.

    Raises:
        CheckpointError: neither; the first keys are named.
    """
    keys = list(keys)
    if any(key.startswith("unet3d.") for key in keys):
        return "pasco"
    if any(key.startswith(("embed.norm", "waffleiron.")) for key in keys):
        return "waffleiron"
    raise CheckpointError(
        "Expected the weights to be those of PaSCo (keys unet3d.*) or WaffleIron (keys embed.*, waffleiron.*), "
        f"got {len(keys)} keys" + (f" such as {', '.join(map(repr, keys[:3]))}" if keys else "")
    )


def architecture_of_weights(system: str, state: Mapping[str, Tensor]) -> Architecture:
    """Reads the variant off keys and shapes.

    Raises:
        CheckpointError: they are of no variant.
    """
    from pasco_core.systems.pasco.config import PaSCoConfig
    from pasco_core.systems.waffleiron import WaffleIronConfig

    try:
        if system == "pasco":
            return _architecture(PaSCoConfig.from_state_dict(state))
        return _architecture(WaffleIronConfig.from_state_dict(state))
    except (ConfigError, ValueError, IndexError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"Expected the weights to be of a known variant of {system}, got {error}") from error


def architecture_of_config(system: str, config: Mapping[str, Any]) -> Architecture:
    """The network that a header's configuration describes.

    Raises:
        CheckpointError: the configuration has unknown entries, or values out of range.
    """
    from pasco_core.systems.pasco.config import PaSCoConfig
    from pasco_core.systems.waffleiron import WaffleIronConfig

    too_large = {key: value for key, value in config.items() if isinstance(value, int) and value > _MAX_SIZE}
    if too_large:
        raise CheckpointError(f"Expected the sizes in the configuration to be at most {_MAX_SIZE}, got {too_large}")
    try:
        return _architecture(PaSCoConfig.from_dict(config) if system == "pasco" else WaffleIronConfig(**config))
    except (ConfigError, ValueError, IndexError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"Expected the configuration to be one of {system}, got {error}") from error


def _architecture(config: Any) -> Architecture:
    from pasco_core.systems import waffleiron
    from pasco_core.systems.pasco import PaSCoConfig, weights

    if isinstance(config, PaSCoConfig):
        return Architecture("pasco", config.to_dict(), config.n_classes, weights.expected_shapes(config))
    return Architecture("waffleiron", _plain(asdict(config)), config.n_classes, waffleiron.expected_shapes(config))


def _plain(value: Any) -> Any:
    """Tuples as lists, as they come back from JSON."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (tuple, list)) else value


def class_names_of(architecture: Architecture) -> tuple[str, ...]:
    """Names of the classes of the published weights.

    Raises:
        ConfigError: no published network has that number of classes.
    """
    if architecture.system == "pasco":
        return label_set_for(architecture.n_classes).class_names
    names = SEMANTIC_KITTI.class_names[1:]  # per point there is no "empty"
    if architecture.n_classes != len(names):
        raise ConfigError(
            f"Expected WaffleIron's number of classes to be {len(names)} (SemanticKITTI), got {architecture.n_classes}"
        )
    return names
