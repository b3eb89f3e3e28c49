"""What ``pasco eval`` writes and prints when all frames are done."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pasco_core.atomic_write import write_text_whole
from pasco_core.cli.text import as_json
from pasco_core.errors import PascoError

if TYPE_CHECKING:
    from pasco_core.evaluation.plan import EvaluationPlan, RunFile
    from pasco_core.evaluation.results import Baseline, Results
    from pasco_core.evaluation.worst_frames import FramePicture


def baseline_of(args: argparse.Namespace) -> Baseline | None:
    """What --baseline names, or None.

    Raises:
        DataError: it holds no results under corruptions.
    """
    from pasco_core.evaluation.results import read_baseline

    return read_baseline(args.baseline) if args.baseline else None


def results(
    args: argparse.Namespace, folders: Sequence[Path], plan: EvaluationPlan | None, run: RunFile,
    baseline: Baseline | None, device: str,
) -> int:
    """Summarise, write ``metrics.json``, ``timings.json`` and ``report.html``, print tables or JSON.

    Args:
        args: options.
        folders: with the records; the only one is where the results go unless there is an --out.
        plan: what was run; None: what is merged, whose records are brought together.
        run: what the records are of.
        baseline: for errors relative to it.
        device: for the pictures.
    """
    from pasco_core.evaluation.merging import gather
    from pasco_core.evaluation.results import REPORT_FILE, Results
    from pasco_core.evaluation.summary import summarise

    out = args.out or folders[0]
    found = Results(summarise(folders, run, args.partial), baseline)
    out.mkdir(parents=True, exist_ok=True)
    if plan is None:
        gather(folders, run, out)
    paths = found.write(out)
    if not args.no_report:
        _write_report(out / REPORT_FILE, args, found, plan, run, device)
        paths.append(out / REPORT_FILE)
    _print(args, found, paths)
    return 0


def _write_report(
    path: Path, args: argparse.Namespace, found: Results, plan: EvaluationPlan | None, run: RunFile, device: str
) -> None:
    from pasco_core.evaluation.report import make_report

    pictures, remark = _pictures(args, found, plan, run, device)
    write_text_whole(path, make_report(found, pictures, remark))


def _pictures(
    args: argparse.Namespace, found: Results, plan: EvaluationPlan | None, run: RunFile, device: str
) -> tuple[list[FramePicture], str]:
    """Pictures of the worst frames, or why there are none: numbers are not lost for want of a picture."""
    from pasco_core.evaluation.worst_frames import plan_again, worst_pictures

    if not args.worst:
        return [], ""
    plan = plan or plan_again(run)
    if plan is None:
        return [], "No pictures: dataset or weights are not where they were when the parts were made."
    try:
        return list(worst_pictures(found.summary, plan, args.worst, device)), ""
    except PascoError as error:
        return [], f"No pictures: {error}"


def _print(args: argparse.Namespace, found: Results, paths: Sequence[Path]) -> None:
    if args.json:
        print(as_json(found.metrics()))
        return
    for table in found.tables():
        print(table.as_text() + "\n")
    for remark in found.remarks():
        print(textwrap.fill(f"note: {remark}", 110, initial_indent="  ", subsequent_indent="    "))
    for path in paths:
        print(f"  {path}")
    sys.stdout.flush()
