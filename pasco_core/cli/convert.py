"""``pasco convert``: from the authors' training files to safetensors with a header."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pasco_core.cli.text import as_json

if TYPE_CHECKING:
    from pasco_core.checkpoints import ConversionReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Source, target, ``--json``."""
    parser.add_argument("source", type=Path, metavar="AUTHORS.ckpt", help="training file of PaSCo or WaffleIron")
    parser.add_argument("target", type=Path, metavar="OUT.safetensors", help="checkpoint to write")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.epilog = (
        "The file is read with an allow-list: a pickle that names anything but tensors, arrays and\n"
        "settings is refused, and nothing in it runs. The variant is read off keys and shapes; missing,\n"
        "unexpected and misshapen keys are named.\n\n"
        "example:\n  pasco convert pasco_single.ckpt pasco_single.safetensors"
    )


def run(args: argparse.Namespace) -> int:
    """Convert and report."""
    from pasco_core.checkpoints import convert

    report = convert(args.source, args.target)
    print(as_json(_values(report)) if args.json else _text(report))
    return 0


def _values(report: ConversionReport) -> dict:
    return {
        "source": str(report.source), "source_sha256": report.source_sha256, "target": str(report.target),
        "target_bytes": report.target.stat().st_size, "system": report.system, "config": report.config,
        "class_names": list(report.class_names), "n_tensors": report.n_tensors, "n_parameters": report.n_parameters,
        "notes": list(report.notes),
    }


def _text(report: ConversionReport) -> str:
    lines = [
        f"{report.target}  ({report.target.stat().st_size / 1e6:.1f} MB)",
        f"  system      {report.system}",
        f"  weights     {report.n_parameters:,} parameters in {report.n_tensors} tensors",
        f"  config      {', '.join(f'{key} {value}' for key, value in report.config.items())}",
        f"  classes     {len(report.class_names)}: {', '.join(report.class_names)}",
        f"  source      {report.source}",
        f"  SHA-256     {report.source_sha256}",
    ]
    return "\n".join(lines + [f"  note        {note}" for note in report.notes])
