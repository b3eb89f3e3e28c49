"""What a replay was made from, told by contents: a bag and its truth may move, but not become others."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pasco_core.data.bags.folder import find_bag
from pasco_core.errors import DataError, PascoError

_PIECE = 2**20


def bag_digest(bag: Path) -> str:
    """SHA-256 over size, first and last MB of each storage file.

    Raises:
        DataError: there is no bag, or it cannot be read.
    """
    digest = hashlib.sha256()
    for path in find_bag(bag).files:
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                digest.update(f"{size}\n".encode() + file.read(_PIECE))
                file.seek(max(0, size - _PIECE))
                digest.update(file.read(_PIECE))
        except OSError as error:
            raise DataError(f"Expected bag {bag} to be readable, got: {error}") from error
    return digest.hexdigest()


def truth_digest(root: str, sequence: str) -> str:
    """SHA-256 over the names of the labelled frames, and over the first and last truth of each sequence.

    What cannot be read is left out: the replay names it when it needs it.

    Args:
        root: of the dataset.
        sequence: its name; "": every one.
    """
    from pasco_core.data.datasets import open_dataset

    digest = hashlib.sha256()
    with suppress(PascoError):
        dataset = open_dataset(root)
        for name in [sequence] if sequence else dataset.sequences():
            with suppress(PascoError):
                frames = dataset.frames(sequences=[name])
                digest.update(" ".join(map(str, frames)).encode())
                for frame in frames[:1] + frames[-1:]:
                    truth = dataset.truth(frame)
                    digest.update(truth.semantics.tobytes() + truth.instances.tobytes())
    return digest.hexdigest()


def contradictions(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """How two identities differ, in words.

    >>> contradictions({"bag": "a"}, {"bag": "b"})
    ['the bag is another one than the one begun with']
    """
    changed = [f"the {name} is another one than the one begun with"
               for name in ("bag", "truth") if there.get(name) != here.get(name)]
    if not changed and there.get("bag_name") != here.get("bag_name"):
        changed.append(f"the bag is called {there.get('bag_name')} there, {here.get('bag_name')} here")
    return changed
