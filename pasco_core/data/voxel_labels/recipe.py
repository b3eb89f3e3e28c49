"""Remembers how the voxel labels in a folder were made, so that no two kinds are mixed and no foreign file is lost."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pasco_core.atomic_write import write_text_whole
from pasco_core.data.voxel_labels.make_labels import LabelOptions
from pasco_core.errors import ConfigError, DataError

NAME = "voxel_labels.json"
"""The file, beside ``sequences/``."""


def claim(folder: Path, options: LabelOptions, as_first_release: bool, targets: Iterable[Path]) -> None:
    """Makes ``folder`` one for labels made with these options, or finds that it is.

    Args:
        folder: made where it is missing.
        options: how labels will be made.
        as_first_release: how they will be written.
        targets: the files that will be written.

    Raises:
        ConfigError: labels there were made otherwise, or some of the files exist and were not made by this package,
            such as downloaded ones.
        DataError: the folder's recipe is damaged.
        OSError: the folder cannot be made or written.
    """
    recipe = {**asdict(options), "as_first_release": as_first_release}
    path = folder / NAME
    if path.is_file():
        made = _read(path)
        differ = [f"{name} {made.get(name)}, not {value}" for name, value in recipe.items() if made.get(name) != value]
        if differ:
            raise ConfigError(
                f"Expected {folder} to hold labels made with the same options, got {'; '.join(differ)}; "
                f"use another --out, or remove them and {NAME}"
            )
        return
    foreign = next((target for target in targets if target.exists()), None)
    if foreign is not None:
        rule = f"Expected {folder} to hold no voxel files of the frames asked for but those made here"
        raise ConfigError(f"{rule}, got {foreign}; use another --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_text_whole(path, json.dumps(recipe, indent=2) + "\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"Expected {path} to be JSON, got: {error}") from error
    if not isinstance(recipe, dict):
        raise DataError(f"Expected {path} to hold a JSON object, got {type(recipe).__name__}")
    return recipe
