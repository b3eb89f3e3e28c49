"""Notes of many predictions as few lines: those that differ in their numbers alone become one."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBER = re.compile(r"\d+")
_SHARE = re.compile(r"\d+ of \d+ ")
_MOST_LINES = 8


def merged_notes(notes: Iterable[str]) -> dict[str, int]:
    """Note → how often, in order of appearance.

    Shares ("3 of 10 points …") are added up, other numbers become the range they are in.

    >>> merged_notes(["3 of 10 points out of range", "1 of 10 points out of range", "untrained"])
    {'4 of 20 points out of range': 2, 'untrained': 1}
    >>> merged_notes(["none of 5 points", "none of 9 points"])
    {'none of 5 to 9 points': 2}
    """
    alike: dict[str, list[str]] = {}
    for note in notes:
        alike.setdefault(_NUMBER.sub("\0", note), []).append(note)
    return {_together(pattern, group): len(group) for pattern, group in alike.items()}


def _together(pattern: str, notes: list[str]) -> str:
    if len(set(notes)) == 1 and not _SHARE.match(notes[0]):
        return notes[0]
    columns = list(zip(*(map(int, _NUMBER.findall(note)) for note in notes), strict=True))
    texts = [str(low) if low == high else f"{low} to {high}" for low, high in ((min(c), max(c)) for c in columns)]
    if _SHARE.match(notes[0]):
        texts[:2] = [str(sum(column)) for column in columns[:2]]
    parts = pattern.split("\0")
    return parts[0] + "".join(text + part for text, part in zip(texts, parts[1:], strict=True))


def note_lines(notes: dict[str, int], n_records: int) -> Iterable[str]:
    """Notes as sentences: those of every frame as they are, others with their number of frames."""
    lines = [note if count == n_records else f"{note} ({count} of {n_records} frames)" for note, count in notes.items()]
    yield from lines[:_MOST_LINES]
    if len(lines) > _MOST_LINES:
        yield f"… and {len(lines) - _MOST_LINES} more kinds of notes"
