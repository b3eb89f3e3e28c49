"""The summary of one prediction: as plain values, and as a screen of text."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

from pasco_core.cli.text import table
from pasco_core.data.point_cloud import PointCloud
from pasco_core.prediction import ScenePrediction

_MOST_SEGMENTS = 12


def summary(scene: ScenePrediction, cloud: PointCloud, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Plain values, ready for JSON.

    Args:
        scene: the prediction.
        cloud: what it was made from.
        seconds: of the stages outside the predictor.
    """
    inside = int(scene.grid.contains(cloud.points[:, :3]).sum())
    counts = np.bincount(scene.semantics.ravel(), minlength=scene.labels.n_classes)
    names = scene.labels.class_names
    return {
        "points": {"in_file": len(cloud) + cloud.removed, "removed": cloud.removed, "in_range": inside,
                   "out_of_range": len(cloud) - inside},
        "grid": {"origin": list(scene.grid.origin), "voxel_size": scene.grid.voxel_size,
                 "shape": list(scene.grid.shape)},
        "label_set": scene.labels.name,
        "voxels": {name: int(count) for name, count in zip(names, counts, strict=False)},
        "segments": [
            {"id": segment.id, "class": names[segment.category], "is_thing": segment.is_thing,
             "confidence": round(float(segment.confidence), 6), "voxels": segment.n_voxels}
            for segment in scene.segments
        ],
        "nothing_known": scene.nothing_known,
        "uncertainty": _uncertainty(scene),
        "seconds": {stage: round(float(value), 6) for stage, value in {**seconds, **scene.timings}.items()},
        "notes": list(dict.fromkeys([*scene.notes, *cloud.notes])),
    }


def _uncertainty(scene: ScenePrediction) -> dict[str, float | None]:
    """Of the occupied voxels; None where there are none."""
    values = scene.voxel_uncertainty[scene.semantics > 0]
    if not values.size:
        return {"mean": None, "p95": None}
    return {"mean": round(float(values.mean()), 6), "p95": round(float(np.percentile(values, 95)), 6)}


def as_text(values: Mapping[str, Any]) -> str:
    """One screen: what went in, what came out, how long it took, what to know."""
    parts = [
        _facts(values),
        *_contents(values),
        _stages(values["seconds"]),
        "\n".join(f"  note: {note}" for note in values["notes"]),
        "\n".join(f"  {name:<8} {path}" for name, path in values["files"].items()),
    ]
    return "\n\n".join(part for part in parts if part)


def _contents(values: Mapping[str, Any]) -> list[str]:
    """The tables of classes and segments, or why there are none."""
    if values["nothing_known"]:
        return ["  no classes and no segments: nothing is known of this scene, every voxel is wholly uncertain"]
    return [table(["class", "voxels", "share"], _class_rows(values["voxels"])), _segments(values["segments"])]


def _facts(values: Mapping[str, Any]) -> str:
    points, config, grid = values["points"], values["network"], values["grid"]
    occupied = sum(count for name, count in values["voxels"].items() if name != "empty")
    removed = f", {points['removed']:,} not finite and left out" if points["removed"] else ""
    uncertainty = values["uncertainty"]
    certain = f", mean uncertainty {uncertainty['mean']:.3f}" if uncertainty["mean"] is not None else ""
    variant = "heavy" if config.get("heavy") else "light"
    lines = [
        ("scan", values["scan"]),
        ("points", f"{points['in_file']:,} in the file{removed}; {points['in_range']:,} in range, "
                   f"{points['out_of_range']:,} out of range"),
        ("weights", values["checkpoint"] or f"none: untrained random weights, seed {values['seed']}"),
        ("network", f"{config['n_subnets']} subnet(s), width {config['width']}, {variant}, {values['label_set']}, "
                    f"on {values['device']}"),
        ("scene", f"{' x '.join(map(str, grid['shape']))} voxels of {grid['voxel_size']} m, {occupied:,} occupied"
                  f"{certain}"),
    ]
    return "\n".join(f"  {name:<8} {text}" for name, text in lines)


def _class_rows(voxels: Mapping[str, int]) -> list[list[object]]:
    occupied = {name: count for name, count in voxels.items() if count and name != "empty"}
    total = sum(occupied.values())
    return [[name, count, f"{100 * count / total:.1f} %"]
            for name, count in sorted(occupied.items(), key=lambda entry: -entry[1])]


def _stages(seconds: Mapping[str, float]) -> str:
    """Seconds per stage, in lines of at most a screen's width; words of a stage stay together."""
    stages = ", ".join(f"{stage} {value:.2f} s".replace(" ", "\0") for stage, value in seconds.items())
    return textwrap.fill(stages, 100, initial_indent="  ", subsequent_indent="  ").replace("\0", " ")


def _segments(segments: list[dict[str, Any]]) -> str:
    """The largest ones; the file has them all."""
    if not segments:
        return "  no segments: no mask is confident enough"
    largest = sorted(segments, key=lambda s: -s["voxels"])
    rows = [[s["id"], s["class"], "thing" if s["is_thing"] else "stuff", s["confidence"], s["voxels"]]
            for s in largest[:_MOST_SEGMENTS]]
    more = len(segments) - len(rows)
    text = table(["segment", "class", "kind", "confidence", "voxels"], rows)
    return text + (f"\n  and {more} smaller ones" if more > 0 else "")
