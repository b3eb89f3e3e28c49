"""``pasco eval``: a dataset and a checkpoint in; the tables of the paper, JSON and a report out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pasco_core.cli.jobs import shard_of, with_progress
from pasco_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pasco_core.data.datasets.dataset import Dataset
    from pasco_core.data.frame import Frame
    from pasco_core.evaluation.plan import EvaluationPlan
    from pasco_core.evaluation.run import Work
    from pasco_core.evaluation.sources import Source
    from pasco_core.jobs import Shard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options, in groups."""
    from pasco_core.cli.eval_options import declare

    declare(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, or put finished parts together."""
    from pasco_core.cli.eval_options import check

    check(args)
    if args.merge:
        return _merge(args)
    return _evaluate(args)


def _evaluate(args: argparse.Namespace) -> int:
    from pasco_core.cli.eval_options import output_folder, require_writable, workforce
    from pasco_core.cli.eval_output import baseline_of, results
    from pasco_core.evaluation.run import begin, check_devices, evaluate

    shard = shard_of(args)
    force = workforce(args)
    check_devices(force.devices)
    source = _source(args)
    plan = _plan(args, source)
    baseline = baseline_of(args)
    if args.save_predictions is not None:
        require_writable(args.save_predictions, "--save-predictions")
    work = begin(plan, plan.dataset().labels.name, output_folder(args), shard, args.save_predictions)
    _say(_intention(work, shard))
    done = evaluate(work, force)
    for _ in with_progress(done, len(work.todo), "evaluate"):
        pass
    missing = work.missing()
    if missing:
        _say(f"{len(work.share)} of {len(plan.items())} done here, {len(missing)} left for other shards; the last one "
             "into this folder sums up; parts in folders of their own: pasco eval --merge <all parts> --out <folder>")
        return 0
    return results(args, [work.out], plan, work.run, baseline, force.devices[0])


def _merge(args: argparse.Namespace) -> int:
    from pasco_core.cli.eval_output import baseline_of, results
    from pasco_core.evaluation.merging import check_target, common_run

    baseline = baseline_of(args)
    run = common_run(args.merge)
    check_target(args.out, run)
    return results(args, args.merge, None, run, baseline, "cpu")


def _source(args: argparse.Namespace) -> Source:
    from pasco_core import shipped
    from pasco_core.evaluation.sources import FolderSource, NetworkSource, TruthSource

    if args.truth_as_prediction:
        return TruthSource()
    if args.baselines:
        from pasco_core.evaluation.baselines import BaselineSource

        return BaselineSource()
    if args.predictions is not None:
        return FolderSource(str(args.predictions))
    checkpoint = None if args.untrained else str(args.checkpoint or shipped.CHECKPOINT)
    return NetworkSource(
        checkpoint, str(args.features) if args.features else None,
        args.transforms, args.seed, args.votes, args.uncertainty,
    )


def _plan(args: argparse.Namespace, source: Source) -> EvaluationPlan:
    from pasco_core.evaluation.condition import conditions_of
    from pasco_core.evaluation.plan import EvaluationPlan, choose_frames
    from pasco_core.evaluation.sources import FolderSource

    conditions = conditions_of(args.corruptions, args.levels)
    truth_root = str(args.truth_root) if args.truth_root else None
    plan = EvaluationPlan(str(args.root), truth_root, source, (), conditions)
    frames = choose_frames(_frames(plan.dataset(), args), args.every, args.limit)
    if isinstance(source, FolderSource):
        source.check(frames)
    return EvaluationPlan(str(args.root), truth_root, source, frames, conditions)


def _frames(dataset: Dataset, args: argparse.Namespace) -> list[Frame]:
    """Of the split or the sequences.

    Raises:
        ConfigError: no such split or sequence.
        DataError: nothing there; says so if other sequences have something.
    """
    if args.split not in (*dataset.splits, "all"):
        raise ConfigError(f"Expected --split to be {', '.join(dataset.splits)} or all, got {args.split!r}")
    if args.split == "all" or args.sequences:
        return dataset.frames(None, args.sequences)
    try:
        return dataset.frames(args.split)
    except DataError as error:
        dataset.frames()
        raise DataError(f"{error}; --split all takes every sequence") from error


def _intention(work: Work, shard: Shard) -> str:
    plan, kept = work.plan, len(work.share) - len(work.todo)
    text = f"{len(plan.frames)} frames"
    if len(plan.conditions) > 1:
        text += f" under {len(plan.conditions)} conditions"
    if shard.count > 1:
        text += f", shard {shard}: {len(work.share)} of them"
    if kept:
        text += f"; {kept} are there already"
    return f"{text}; results in {work.out}"


def _say(text: str) -> None:
    """On stderr, so that stdout holds the tables or the JSON alone."""
    print(f"pasco eval: {text}", file=sys.stderr, flush=True)


def default_output(args: argparse.Namespace) -> Path:
    """``out/eval/<what is evaluated>``."""
    if args.truth_as_prediction:
        name = "truth"
    elif args.baselines:
        name = "baselines"
    elif args.predictions is not None:
        name = args.predictions.resolve().name
    else:
        name = "untrained" if args.untrained else args.checkpoint.stem if args.checkpoint else "shipped"
    if not name:
        raise ConfigError("Expected --out for these predictions, got none")
    return Path("out") / "eval" / name
