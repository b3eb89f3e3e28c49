"""Which sequences of a dataset are meant, by split, by name or all of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pasco_core.data.frame import Frame
from pasco_core.errors import ConfigError, DataError


def chosen_sequences(
    present: Sequence[str],
    splits: Mapping[str, tuple[str, ...]],
    split: str | None,
    sequences: Sequence[str] | None,
    root: Path,
    same: Callable[[str, str], bool] = str.__eq__,
) -> list[str]:
    """Names on disk, ascending, that are in the split and among ``sequences`` (None: no such condition).

    Args:
        present: sequences on disk.
        splits: split → sequences.
        split: name of a split.
        sequences: names of sequences, which must be on disk.
        root: the dataset, for messages.
        same: whether a name on disk is meant by a name given.

    Raises:
        ConfigError: an unknown split or sequence.
        DataError: nothing of the split is on disk.
    """
    chosen = list(present)
    if split is not None:
        if split not in splits:
            raise ConfigError(f"Expected split to be one of {', '.join(splits)}, got {split!r}{_hint(split, splits)}")
        chosen = [name for name in chosen if any(same(name, member) for member in splits[split])]
        if not chosen:
            wanted = ", ".join(splits[split])
            raise DataError(f"Expected {root} to hold a sequence of split '{split}' ({wanted}), got {_list(present)}")
    if isinstance(sequences, str):
        raise ConfigError(f"Expected sequences to be a list of names, got the string {sequences!r}")
    for wanted in sequences or ():
        if not any(same(name, wanted) for name in present):
            raise ConfigError(f"Expected sequence {wanted!r} to be in {root}, got {_list(present)}")
    if sequences is not None:
        chosen = [name for name in chosen if any(same(name, wanted) for wanted in sequences)]
    return chosen


def require_frames(found: list[Frame], what: str, sequences: Sequence[str], *roots: Path) -> list[Frame]:
    """The frames, if there are any.

    Raises:
        DataError: none; the message says what was looked for, and where.
    """
    if not found:
        where = " or ".join(dict.fromkeys(map(str, roots)))
        wanted = f"{what} for sequence {_list(sequences)}"
        raise DataError(f"Expected {where} to hold {wanted}, got none; `pasco data check` says more")
    return found


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "no sequence"


def _hint(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
