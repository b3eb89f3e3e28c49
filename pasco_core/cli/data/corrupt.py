"""``pasco data corrupt``: a dataset's scans under bad weather or a failing sensor, in the layout they came in."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pasco_core.cli.jobs import add_job_arguments, add_sequences_argument, check_jobs, shard_of, with_progress
from pasco_core.cli.text import as_json
from pasco_core.errors import ConfigError

if TYPE_CHECKING:
    from pasco_core.data.frame import Frame
    from pasco_core.data.simulation.corruptions.corrupted_dataset import CorruptedDataset, Written

_NAMES = (
    "fog", "wet_ground", "snow", "motion_blur", "beam_missing", "crosstalk", "incomplete_echo", "cross_sensor"
)
_LEVELS = ("light", "moderate", "heavy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Dataset, output, corruption, share of the work."""
    add = parser.add_argument
    add("root", type=Path, metavar="ROOT", help="dataset in SemanticKITTI's or SSCBench-KITTI-360's layout")
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the new dataset")
    add("--corruption", required=True, choices=_NAMES, help="what happens to the scans")
    add("--level", required=True, choices=_LEVELS, help="how badly")
    add_sequences_argument(parser, "only these sequences, such as 08 (default: all)")
    add("--seed", type=int, default=0, help="chooses everything random (default: 0)")
    add("--things-from-labels", action="store_true",
        help="incomplete_echo: vehicles and people by the point labels (default: dark points at their height)")
    add("--picture", action="store_true", help="draw the first scan before and after, as a PNG in DIR")
    add("--json", action="store_true", help="print the counts as JSON")
    add_job_arguments(parser)
    parser.epilog = (
        "Writes scans, and the labels of their points where there are some; added returns are 'outlier' (1).\n"
        "Voxel truth stays with the clean dataset. Scans that are there already are skipped.\n\n"
        "examples:\n"
        "  pasco data corrupt kitti/dataset --out kitti-fog-heavy --corruption fog --level heavy --sequences 08\n"
        "  pasco data corrupt kitti/dataset --out kitti-snow --corruption snow --level light --jobs 8 --picture\n"
        "  pasco eval kitti-fog-heavy --truth-root kitti/dataset"
    )


def run(args: argparse.Namespace) -> int:
    """Corrupt every frame of this share, and say what was done."""
    from pasco_core.data.simulation.corruptions.corrupted_dataset import CorruptedDataset, Recipe
    from pasco_core.jobs import run_jobs

    if not 0 <= args.seed < 2**32:
        raise ConfigError(f"Expected --seed to be 0 to {2**32 - 1}, got {args.seed}")
    check_jobs(args)
    shard = shard_of(args)
    recipe = Recipe(args.corruption, args.level, args.seed, args.things_from_labels)
    corrupted = CorruptedDataset(args.root, args.out, recipe)
    everything = corrupted.dataset.frames(sequences=args.sequences, with_truth=False)
    corrupted.prepare(everything)
    frames = shard.of(everything)
    todo = [frame for frame in frames if not corrupted.scan_path(frame).exists()]
    results = run_jobs(corrupted.write, todo, args.jobs)
    counts = [written for _, written in with_progress(results, len(todo), f"{args.corruption} {args.level}")]
    values = _values(args, counts, len(frames) - len(todo))
    if not {frame.sequence for frame in everything} & set(corrupted.dataset.splits["val"]):
        values["evaluate"] += " --split all"  # without it only sequences for validation are
    if args.picture and frames:
        values["picture"] = str(_draw(corrupted, frames[0]))
    print(as_json(values) if args.json else _text(args, values))
    return 0


def _values(args: argparse.Namespace, counts: list[Written], skipped: int) -> dict[str, Any]:
    return {
        "out": str(args.out),
        "corruption": args.corruption,
        "level": args.level,
        "seed": args.seed,
        "frames": {"written": len(counts), "there_already": skipped},
        "points": {name: sum(getattr(c, name) for c in counts) for name in ("clean", "kept", "added")},
        "evaluate": f"pasco eval {args.out} --truth-root {args.root}",
    }


def _text(args: argparse.Namespace, values: dict[str, Any]) -> str:
    frames, points = values["frames"], values["points"]
    lines = [f"{args.corruption}, {args.level}: {frames['written']:,} scans written to {args.out}"]
    if frames["there_already"]:
        lines[0] += f", {frames['there_already']:,} were there already"
    if points["clean"]:
        share = points["kept"] / points["clean"]
        lines.append(f"returns: {share:.1%} of {points['clean']:,} left, {points['added']:,} added")
    if "picture" in values:
        lines.append(f"picture: {values['picture']}")
    lines.append(f"voxel truth stays with the clean dataset; to evaluate: {values['evaluate']}")
    return "\n".join(lines)


def _draw(corrupted: CorruptedDataset, frame: Frame) -> Path:
    from PIL import Image

    from pasco_core.atomic_write import atomic_write
    from pasco_core.data.simulation.corruptions.picture import before_and_after

    recipe = corrupted.recipe
    clean, result = corrupted.corrupted(frame)
    name = recipe.corruption.replace("_", " ")
    dims = recipe.corruption == "wet_ground"
    image = before_and_after(clean, result, f"{name}, {recipe.level} · {frame}", by_intensity=dims)
    path = corrupted.out / f"{recipe.corruption}_{recipe.level}_{frame.sequence}_{frame.index:06d}.png"
    with atomic_write(path) as temporary:
        Image.fromarray(image).save(temporary)
    return path
