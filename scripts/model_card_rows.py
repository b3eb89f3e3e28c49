"""Prints results of ``pasco eval`` as the tables of docs/model_card.md: ``python scripts/model_card_rows.py DIR …``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEAD = (
    "| | IoU | mIoU | PQ† | PQ | voxel ECE | voxel NLL | AUROC all | AUROC occupied |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def row(name: str, figures: dict[str, Any]) -> str:
    """One method: shares in percent by the standard protocol, calibration and AUROC as they are."""
    completion, panoptic = figures["completion"]["standard"], figures["panoptic"]["standard"]["all"]
    voxels, errors = figures["calibration"]["voxels"], figures["error_detection"]
    percent = [completion["iou"], completion["miou"], panoptic["pq_dagger"], panoptic["pq"]]
    cells = [_text(value, 1, 100.0) for value in percent] + [_text(voxels["ece"], 3), _text(voxels["nll"], 2)]
    cells += [_text(errors[group]["auroc"], 3) for group in ("voxels", "voxels_nonempty")]
    return f"| {name} | {' | '.join(cells)} |"


def rows(folder: Path) -> Iterator[str]:
    """A row for every condition and method of an evaluation."""
    results = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["results"]
    for condition, methods in results.items():
        for method, figures in methods.items():
            yield row(method if len(results) == 1 else f"{condition}, {method}", figures)


def table(folder: Path) -> str:
    """The table of an evaluation, under the name of its folder."""
    return "\n".join([f"{folder}", HEAD, *rows(folder), ""])


def _text(value: float | None, digits: int, scale: float = 1.0) -> str:
    return "–" if value is None else f"{scale * value:.{digits}f}"


def main() -> int:
    """Prints a table for each folder."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        return 2
    for folder in map(Path, sys.argv[1:]):
        if not (folder / "metrics.json").is_file():
            sys.exit(f"model_card_rows.py: Expected {folder} to hold the results of pasco eval, got no metrics.json")
        print(table(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
