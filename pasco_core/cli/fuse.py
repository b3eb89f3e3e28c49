"""``pasco fuse``: scenes of a drive fused over time, beside each frame alone: accuracy, identity switches, time."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pasco_core.errors import ConfigError

if TYPE_CHECKING:
    from pasco_core.evaluation.fusion import PosedFrame


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The drive, the weights, the output."""
    add = parser.add_argument
    add("dataset", nargs="?", type=Path, metavar="DATASET", help="data with poses, in SemanticKITTI's layout")
    add("--sequence", metavar="NAME", help="which drive of it (default: the first)")
    add("--town", type=int, metavar="SEED", help="drive through the simulated town of this seed instead; only "
        "there things have numbers that last, so that identity switches can be counted")
    add("--frames", type=int, default=30, metavar="N", help="how many frames (default: 30)")
    add("--first", type=int, default=0, metavar="K", help="number of the first frame (default: 0)")
    add("--step", type=int, default=1, metavar="K", help="take every K-th frame (default: 1)")
    add("--checkpoint", type=Path, metavar="C.safetensors", help="weights (default: those of the package)")
    add("--features", type=Path, metavar="W.safetensors", help="WaffleIron weights, for networks that read them")
    add("--device", default="cpu", help="cpu, cuda or cuda:1 (default: cpu)")
    add("--json", action="store_true", help="print the numbers as JSON")
    parser.epilog = "examples:\n  pasco fuse --town 41 --frames 50\n  pasco fuse town --sequence 08 --json"


def run(args: argparse.Namespace) -> int:
    """Predict, fuse, compare, report."""
    from pasco_core.cli.jobs import with_progress
    from pasco_core.cli.text import as_json
    from pasco_core.evaluation.fusion import FusionEvaluation, first_frames
    from pasco_core.systems.pasco import Predictor

    frames = first_frames(_frames(args), args.frames)
    predictor = Predictor(args.checkpoint, device=args.device, features=args.features)
    evaluation = FusionEvaluation(predictor, time.perf_counter)
    for frame in with_progress(frames, args.frames, "fuse"):
        evaluation.take(frame)
    results = evaluation.results()
    print(as_json(results) if args.json else _as_text(results))
    return 0


def _frames(args: argparse.Namespace) -> Iterator[PosedFrame]:
    from pasco_core.data.datasets import open_dataset
    from pasco_core.evaluation.fusion import frames_of_sequence, frames_of_town

    if (args.dataset is None) == (args.town is None):
        raise ConfigError("Expected either a data set or --town SEED, got " + ("both" if args.dataset else "neither"))
    if args.first < 0 or args.step < 1:
        raise ConfigError(f"Expected --first from 0 and --step from 1, got {args.first} and {args.step}")
    if args.town is not None:
        return frames_of_town(args.town, args.first, args.step)
    dataset = open_dataset(args.dataset)
    return frames_of_sequence(dataset, args.sequence or dataset.sequences()[0], args.first, args.step)


def _as_text(results: dict[str, Any]) -> str:
    from pasco_core.cli.text import table

    names = ("precision", "recall", "iou", "miou")
    rows = [[title, *(f"{results[key][name]:.2f}" for name in names)]
            for key, title in (("single", "each frame alone"), ("fused", "fused"))]
    lines = [table(["[%]", "precision", "recall", "IoU", "mIoU"], rows)]
    if identity := results.get("identity"):
        lines.append(
            f"things: {identity['n_matched']} of {identity['n_truth']} covered by a track; {identity['n_switches']} "
            f"identity switches among {identity['n_things']} things and {identity['n_tracks']} tracks"
        )
    lines.append(f"{results['frames']} frames; fusing took {1e3 * results['fusion_seconds']:.0f} ms per frame")
    return "\n".join(lines)
