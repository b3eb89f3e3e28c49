"""What a checkpoint says about itself: JSON in the metadata of its safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pasco_core import __version__
from pasco_core.errors import CheckpointError

FORMAT_VERSION = 1
"""Raised whenever an older reader would misread a newer file."""

METADATA_KEY = "pasco"
SYSTEMS = ("pasco", "waffleiron")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "system": str, "config": dict, "class_names": (list, tuple), "source": str, "source_sha256": str,
    "created_by": str, "notes": (list, tuple), "format_version": int,
}


@dataclass(frozen=True)
class CheckpointHeader:
    """Provenance and architecture of a checkpoint.

    Args:
        system: which network, one of ``SYSTEMS``.
        config: the network's configuration as plain JSON values.
        class_names: name of each class the network tells apart, in the order of its logits.
        source: name of the file the weights come from, or how they were made.
        source_sha256: SHA-256 of that file in hexadecimal, empty where there is none.
        created_by: program and version that wrote the checkpoint.
        notes: what a user of the weights should know ("random weights").
        format_version: version of this header's layout.
    """

    system: str
    config: dict[str, Any] = field(hash=False)
    class_names: tuple[str, ...]
    source: str = ""
    source_sha256: str = ""
    created_by: str = f"pasco {__version__}"
    notes: tuple[str, ...] = ()
    format_version: int = FORMAT_VERSION

    def to_metadata(self) -> dict[str, str]:
        """The text entry for safetensors: a single one, because it writes several in an order of its own."""
        return {METADATA_KEY: json.dumps(asdict(self), sort_keys=True, allow_nan=False)}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str] | None, source: str) -> CheckpointHeader:
        """Read and check the entries of file ``source``.

        Raises:
            CheckpointError: no such entry, a newer format version, or an entry that breaks its rule.
        """
        text = (metadata or {}).get(METADATA_KEY)
        if text is None:
            raise CheckpointError(
                f"Expected {source} to carry a '{METADATA_KEY}' header, got a safetensors file without one; "
                "`pasco convert` writes such files from the authors' checkpoints"
            )
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"Expected the header of {source} to be JSON, got {error}") from error
        if not isinstance(values, dict):
            raise CheckpointError(f"Expected the header of {source} to be a JSON object, got {type(values).__name__}")
        _check_version(values, source)
        _check_entries(values, source)
        return cls(**{
            **values, "class_names": tuple(values["class_names"]), "notes": tuple(values.get("notes", ())),
        })


def _check_version(values: dict[str, Any], source: str) -> None:
    """Before anything else: a newer file may have entries this version knows nothing of."""
    version = values.get("format_version")
    if type(version) is not int or version < 1:
        raise CheckpointError(f"Expected format_version of {source} to be a positive integer, got {version!r}")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"Expected format_version of {source} to be at most {FORMAT_VERSION}, got {version}: "
            "it was written by a newer version of this package; update the package to read it"
        )


def _check_entries(values: dict[str, Any], source: str) -> None:
    for key in ("system", "config", "class_names"):
        if key not in values:
            raise CheckpointError(f"Expected the header of {source} to have '{key}', got none")
    for key, value in values.items():
        if key not in _TYPES:
            raise CheckpointError(f"Expected the header of {source} to have known entries only, got {key!r}")
        if not isinstance(value, _TYPES[key]):
            raise CheckpointError(f"Expected '{key}' in the header of {source} to be a {_TYPES[key]}, got {value!r}")
    for key in ("class_names", "notes"):
        if not all(isinstance(text, str) for text in values.get(key, ())):
            raise CheckpointError(f"Expected '{key}' in the header of {source} to be texts, got {values[key]!r}")
    if values["system"] not in SYSTEMS:
        raise CheckpointError(
            f"Expected the system of {source} to be one of {', '.join(SYSTEMS)}, got {values['system']!r}"
        )
