"""``pasco data check``: what is there, what is missing or damaged, and what each command needs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pasco_core.cli.jobs import with_progress
from pasco_core.cli.text import as_json, table

if TYPE_CHECKING:
    from pasco_core.data.datasets.check_report import CheckReport, Finding

_COMMANDS = ("infer", "replay", "eval", "train", "data instances", "data voxels")
_SHOWN = {"error": 5, "warning": 1, "note": 1}
"""Level → how many findings of a kind are shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Dataset, how deep, for what."""
    add = parser.add_argument
    add("root", type=Path, metavar="ROOT", help="dataset in the SemanticKITTI or SSCBench-KITTI-360 layout")
    add("--truth-root", type=Path, metavar="DIR", help="another folder of the same layout with the labels")
    add("--deep", action="store_true", help="read every file to its last byte (default: names and sizes)")
    add("--jobs", type=int, default=1, metavar="N", help="processes for --deep (default: 1)")
    add("--for", dest="command", choices=_COMMANDS, metavar="COMMAND",
        help=f"fail unless this command has something to work on: {', '.join(_COMMANDS)}")
    add("--all", action="store_true", help="show every finding, not the first few of each kind")
    add("--json", action="store_true", help="print everything as JSON")
    parser.epilog = (
        "Exit code: 0 nothing is broken, 1 a file is damaged or missing beside what is there.\n\n"
        "examples:\n"
        "  pasco data check kitti/dataset\n"
        "  pasco data check kitti/dataset --for eval --deep --jobs 8"
    )


def run(args: argparse.Namespace) -> int:
    """Check, print, and say by the exit code whether all is well."""
    from pasco_core.data.datasets.check import check_dataset

    report = check_dataset(args.root, args.truth_root, deep=args.deep, jobs=args.jobs, progress=_progress)
    print(as_json(report.to_dict()) if args.json else _as_text(report, args.all))
    possible = all(need.possible for need in report.needs if need.command == args.command)
    return 0 if report.ok and possible else 1


def _progress(items, total, title):
    return with_progress(items, total, title, "sequence" if title == "sequences" else "file")


def _as_text(report: CheckReport, every: bool) -> str:
    where = "" if report.truth_root == report.root else f", labels also in {report.truth_root}"
    blocks = [f"{report.layout} in {report.root}{where}"]
    if report.sequences:
        blocks.append(_sequences(report))
    if report.all_findings():
        blocks.append(_findings(report, every))
    blocks.append(_needs(report))
    blocks.append(_verdict(report))
    return "\n\n".join(blocks)


def _sequences(report: CheckReport) -> str:
    names = [name for name in report.sequences[0].counts if any(s.counts[name] for s in report.sequences)]
    rows = [
        [s.name, s.split or "-", *(s.counts[name] for name in names), len(s.usable)] for s in report.sequences
    ]
    return table(["sequence", "split", *names, "truth + scan"], rows)


def _findings(report: CheckReport, every: bool) -> str:
    """Findings by level; of many that are alike the first ones, how many more there are, and where."""
    lines = []
    for level, most in _SHOWN.items():
        found = report.all_findings(level)
        if found:
            lines.append(f"{level}s: {len(found)}")
        for ending, alike in _groups(found):
            shown = alike if every else alike[:most]
            lines.extend(f"  {finding.message}" for finding in shown)
            if len(shown) < len(alike):
                sequences = ", ".join(dict.fromkeys(finding.sequence for finding in alike if finding.sequence))
                more = f"{len(alike) - len(shown)} more such {ending} in {sequences}"
                lines.append(f"    … and {more} (--all shows them)")
    return "\n".join(lines)


def _groups(findings: list[Finding]) -> list[tuple[str, list[Finding]]]:
    """Findings that differ in sequence and number only, each group with the ending of its files."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        path = Path(finding.path)
        groups.setdefault((finding.kind, path.parent.name, f"*{path.suffix}"), []).append(finding)
    return [(key[2], alike) for key, alike in groups.items()]


def _needs(report: CheckReport) -> str:
    rows = []
    for need in report.needs:
        said = f"needs {need.needs}" if need.possible else need.hint
        more = f"{need.damaged:,} more {'is' if need.damaged == 1 else 'are'} damaged; " if need.possible else ""
        rows.append([need.command, need.possible, need.frames, (more if need.damaged else "") + said])
    return table(["command", "can run", "frames", ""], rows)


def _verdict(report: CheckReport) -> str:
    errors = len(report.all_findings("error"))
    read = "every file was read" if report.deep else "names and sizes; --deep reads every file"
    if errors:
        return f"{errors} {'file is' if errors == 1 else 'files are'} damaged or missing ({read})."
    return f"Nothing is damaged or missing beside what is there ({read})."
