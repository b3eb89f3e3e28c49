"""Parts of one evaluation, made in folders of their own: whether they belong together, and all records in one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pasco_core.errors import ConfigError
from pasco_core.evaluation.frame_record import record_path
from pasco_core.evaluation.identity import cannot_tell, contradictions
from pasco_core.evaluation.plan import RUN_FILE, RunFile, WorkItem, differences, has_records


def common_run(folders: Sequence[Path]) -> RunFile:
    """What several folders are parts of: the same settings, all their frames and conditions.

    Raises:
        ConfigError: settings, dataset or predictions differ, or nothing tells whether they do; what it is, is named.
        DataError: one is no folder of results.
    """
    runs = [RunFile.read(folder) for folder in folders]
    together, untold = runs[0], list(zip(folders, runs, strict=True))[1:]
    while untold:
        # A part may have something in common with a later one alone, so those that do come first.
        chosen = next((pair for pair in untold if not cannot_tell(together.identity, pair[1].identity)), untold[0])
        _require_same(folders[0], together, *chosen)
        untold.remove(chosen)
        together = replace(together, identity={**together.identity, **chosen[1].identity})
    frames = tuple(sorted({frame for run in runs for frame in run.frames}))
    conditions = tuple(dict.fromkeys(condition for run in runs for condition in run.conditions))
    return replace(together, frames=frames, conditions=conditions)


def _require_same(first: Path, together: RunFile, folder: Path, run: RunFile) -> None:
    changed = differences(together.settings, run.settings)
    if changed:
        raise ConfigError(
            f"Expected {folder} to hold results of the same settings as {first}, got others: "
            + "; ".join(changed).replace(" there,", f" in {first},").replace(" here", f" in {folder}")
        )
    changed = contradictions(together.identity, run.identity)
    if changed:
        raise ConfigError(
            f"Expected {folder} to hold results on the same data as {first}, got {'; '.join(changed)}"
        )
    unsure = cannot_tell(together.identity, run.identity)
    if unsure:
        raise ConfigError(
            f"Expected {folder} to be a part of the same evaluation as {first}, got no frame that tells whether "
            f"they have the same {' and '.join(unsure)} (evaluate all sequences in one run, or into one --out)"
        )


def check_target(out: Path, run: RunFile) -> None:
    """Says that results of something else are in ``out``, before anything is written to it.

    Raises:
        ConfigError: they are.
    """
    if (out / RUN_FILE).exists() and has_records(out):
        _require_same(out, RunFile.read(out), Path("the merged parts"), run)


def gather(folders: Sequence[Path], run: RunFile, out: Path) -> None:
    """Makes ``out`` a folder of results like those it was put together from, which can be merged or gone on with.

    Records are linked where the file system can, else copied: they are replaced as a whole, never changed.
    """
    for item in [WorkItem(condition, frame) for condition in run.conditions for frame in run.frames]:
        source = next((path for path in (record_path(folder, item) for folder in folders) if path.exists()), None)
        target = record_path(out, item)
        if source is None or (target.exists() and os.path.samefile(source, target)):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.new")
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        os.replace(temporary, target)
        temporary.unlink(missing_ok=True)
    run.write(out)
