"""The last computed frame as files for a bug report: what went in, what came out, and with which settings."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pasco_core import __version__
from pasco_core.atomic_write import atomic_write, write_text_whole
from pasco_core.prediction import ScenePrediction
from pasco_core.prediction_file import save_prediction
from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.outcomes import FrameReport


@dataclass(frozen=True)
class ComputedFrame:
    """One frame after its computation.

    Args:
        header: std_msgs/Header of the outputs' input.
        points: (N, 4) float32 x y z intensity as the network read them, in its frame.
        scene: what it made of them.
        report: stages and counts.
        config: the settings it was computed with.
        checkpoint: which weights, in words.
    """

    header: Any
    points: np.ndarray
    scene: ScenePrediction
    report: FrameReport
    config: NodeConfig
    checkpoint: str


def write_dump(folder: Path, frame: ComputedFrame) -> Path:
    """Write ``points.npy``, ``scene.npz`` and ``frame.json`` into a new folder named by the frame's stamp.

    ``pasco infer points.npy`` computes the same frame again.

    Returns:
        The folder.

    Raises:
        OSError: it cannot be made or written.
    """
    stamp = frame.header.stamp
    place = _new_folder(folder, f"{stamp.sec}_{stamp.nanosec:09d}")
    with atomic_write(place / "points.npy") as temporary, open(temporary, "wb") as file:
        np.save(file, frame.points, allow_pickle=False)
    save_prediction(place / "scene.npz", frame.scene)
    facts = {
        "version": __version__, "checkpoint": frame.checkpoint, "frame_id": frame.header.frame_id,
        "stamp": {"sec": stamp.sec, "nanosec": stamp.nanosec}, "notes": list(frame.scene.notes),
        "report": _finite(asdict(frame.report)), "parameters": asdict(frame.config),
    }
    write_text_whole(place / "frame.json", json.dumps(facts, indent=2, default=str) + "\n")
    return place


def _new_folder(folder: Path, name: str) -> Path:
    """The folder, with a number behind its name where that one is there already."""
    for number in range(1, 1000):
        place = folder / (name if number == 1 else f"{name}_{number}")
        try:
            place.mkdir(parents=True)
        except FileExistsError:
            continue
        return place
    raise OSError(f"Expected {folder} to hold fewer than 1000 dumps of the frame {name}")


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """NaN is no JSON."""
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in values.items()
    }
