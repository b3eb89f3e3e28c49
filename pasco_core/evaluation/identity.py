"""What data results were made from, told by digests of a few files' contents: paths differ from machine to machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress

import numpy as np

from pasco_core.data.datasets.dataset import Dataset
from pasco_core.data.frame import Frame
from pasco_core.errors import PascoError
from pasco_core.evaluation.sources import Source

Identity = Mapping[str, str]
"""``<what> <frame>`` → digest, where what is truth, scan or prediction."""

_TOLD_BY = {"truth": "dataset", "prediction": "--predictions"}


def identity_of(dataset: Dataset, source: Source, frames: Iterable[Frame]) -> dict[str, str]:
    """Digests of truth and scan of the first frame of each sequence of ``frames``, and of the dataset's first sequence.

    The dataset's first sequence is what runs on different sequences have in common. For saved predictions also the
    first prediction of each sequence. Files that cannot be read are left out: the run names them when it needs them.
    """
    first = first_of_each(dataset.frames())
    asked = first_of_each(frames)
    identity: dict[str, str] = {}
    for sequence in sorted({*list(first)[:1], *(name for name in asked if name in first)}):
        frame = first[sequence]
        with suppress(PascoError):
            truth = dataset.truth(frame)
            identity[f"truth {frame}"] = _digest(truth.semantics, truth.instances)
        with suppress(PascoError):
            identity[f"scan {frame}"] = _digest(dataset.points(frame))
    for frame in asked.values():
        if digest := source.prediction_digest(frame):
            identity[f"prediction {frame}"] = digest
    return identity


def first_of_each(frames: Iterable[Frame]) -> dict[str, Frame]:
    """The first frame of each sequence, ascending."""
    first: dict[str, Frame] = {}
    for frame in sorted(frames):
        first.setdefault(frame.sequence, frame)
    return first


def contradictions(there: Identity, here: Identity, ignore: str = "") -> list[str]:
    """What both know and say differently, in words; keys that begin with ``ignore`` are left out.

    >>> contradictions({"truth 08/000000": "a", "scan 08/000000": "b"}, {"truth 08/000000": "c"})
    ['another truth of 08/000000']
    """
    both = [key for key in there if key in here and not (ignore and key.startswith(ignore))]
    differ = [key for key in both if there[key] != here[key]]
    return ["another {} of {}".format(*key.split(" ", 1)) for key in differ]


def cannot_tell(there: Identity, here: Identity) -> list[str]:
    """Of what the two know nothing in common, so that nobody can say whether it is the same: dataset, predictions.

    >>> cannot_tell({"truth 00/000000": "a"}, {"truth 08/000000": "b"})
    ['dataset']
    """
    unsure = []
    for what, name in _TOLD_BY.items():
        known = [{key for key in one if key.startswith(what)} for one in (there, here)]
        if (any(known) or what == "truth") and not known[0] & known[1]:
            unsure.append(name)
    return unsure


def _digest(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
