"""``pasco eval``: a dataset and a checkpoint in; the tables of the paper, JSON and a report out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pasco_core.cli.jobs import shard_of, with_progress
from pasco_core.errors import ConfigError

if TYPE_CHECKING:
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
    from pasco_core.cli.eval_options import output_folder, workforce
    from pasco_core.cli.eval_output import results
    from pasco_core.evaluation.run import begin, check_devices, evaluate

    shard = shard_of(args)
    force = workforce(args)
    check_devices(force.devices)
    source = _source(args)
    plan = _plan(args, source)
    work = begin(plan, plan.dataset().labels.name, output_folder(args), shard)
    _say(_intention(work, shard))
    done = evaluate(work, force, args.save_predictions)
    for _ in with_progress(done, len(work.todo), "evaluate"):
        pass
    missing = work.missing()
    if missing:
        _say(f"{len(work.share)} of {len(plan.items())} done here, {len(missing)} left for other shards; when all are "
             f"done: pasco eval --merge {work.out} --out {work.out}")
        return 0
    return results(args, [work.out], work.out, plan, force.devices[0])


def _merge(args: argparse.Namespace) -> int:
    from pasco_core.cli.eval_output import results

    return results(args, args.merge, args.out, None, "cpu")


def _source(args: argparse.Namespace) -> Source:
    from pasco_core.evaluation.sources import FolderSource, NetworkSource, TruthSource

    if args.truth_as_prediction:
        return TruthSource()
    if args.predictions is not None:
        return FolderSource(str(args.predictions))
    return NetworkSource(
        str(args.checkpoint) if args.checkpoint else None, str(args.features) if args.features else None,
        args.transforms, args.seed, args.votes, args.uncertainty,
    )


def _plan(args: argparse.Namespace, source: Source) -> EvaluationPlan:
    from pasco_core.evaluation.condition import conditions_of
    from pasco_core.evaluation.plan import EvaluationPlan, choose_frames
    from pasco_core.evaluation.sources import FolderSource

    conditions = conditions_of(args.corruptions, args.levels)
    truth_root = str(args.truth_root) if args.truth_root else None
    plan = EvaluationPlan(str(args.root), truth_root, source, (), conditions)
    split = None if args.split == "all" or args.sequences else args.split
    found = plan.dataset().frames(split, args.sequences)
    frames = choose_frames(found, args.every, args.limit)
    if isinstance(source, FolderSource):
        source.check(frames)
    return EvaluationPlan(str(args.root), truth_root, source, frames, conditions)


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
    elif args.predictions is not None:
        name = args.predictions.resolve().name
    else:
        name = args.checkpoint.stem if args.checkpoint else "untrained"
    if not name:
        raise ConfigError("Expected --out for these predictions, got none")
    return Path("out") / "eval" / name
