"""What ``check_dataset`` finds: problems by sequence and file, what is there, and what each command needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as the layout wants it.

    Args:
        level: "error": damaged or missing beside what is there; "warning": left unused; "note": worth knowing.
        sequence: where, "" = the dataset as a whole.
        kind: "missing", "size", "content", "orphan", "unused", "stale" or "first release".
        path: the file.
        message: the whole sentence, with file, rule and value.
    """

    level: str
    sequence: str
    kind: str
    path: str
    message: str


@dataclass
class SequenceReport:
    """What is there of one sequence.

    Args:
        name: folder name.
        split: "train", "val", "test" or "" where it is in none.
        counts: what → number of files.
        truth: numbers of the frames with voxel truth.
        usable: numbers of the frames with voxel truth and a scan.
        posed: whether calibration and poses are there and cover the scans.
        files: what → frame → the files that are read for it, also those that should be there and are not.
        findings: what is not as it should be.
    """

    name: str
    split: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    truth: frozenset[int] = frozenset()
    usable: frozenset[int] = frozenset()
    posed: bool = False
    files: dict[str, dict[int, tuple[str, ...]]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def damaged(self, frames: Iterable[int], *kinds: str) -> frozenset[int]:
        """Those of the frames for which a file of these kinds is damaged or missing."""
        broken = {finding.path for finding in self.findings if finding.level == ERROR}
        files = [self.files.get(kind, {}) for kind in kinds] if broken else []
        return frozenset(f for f in frames if any(path in broken for of in files for path in of.get(f, ())))

    def add(self, level: str, kind: str, path: Path, message: str) -> None:
        """Notes one more finding."""
        self.findings.append(Finding(level, self.name, kind, str(path), message))


@dataclass(frozen=True)
class Need:
    """Whether a command can work on the dataset.

    Args:
        command: such as "eval".
        needs: what it reads, in words.
        frames: how many frames it would work on, none of them damaged.
        hint: what to do where that is none, else "".
        damaged: how many more frames are there, of which a file that it reads is damaged or missing.
    """

    command: str
    needs: str
    frames: int
    hint: str = ""
    damaged: int = 0

    @property
    def possible(self) -> bool:
        return self.frames > 0


@dataclass
class CheckReport:
    """The whole answer; ``ok`` means that nothing is damaged or missing beside what is there.

    Args:
        root: folder that was checked.
        truth_root: folder of the labels, if another.
        layout: "SemanticKITTI" or "SSCBench-KITTI-360".
        deep: whether the content of the files was read.
        sequences: what is there, ascending.
        findings: of the dataset as a whole.
        needs: the commands.
    """

    root: Path
    truth_root: Path
    layout: str
    deep: bool
    sequences: list[SequenceReport] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    needs: list[Need] = field(default_factory=list)

    def all_findings(self, level: str | None = None) -> list[Finding]:
        """Of the dataset and its sequences, errors first; of one level if given."""
        order = (ERROR, WARNING, NOTE)
        found = self.findings + [finding for sequence in self.sequences for finding in sequence.findings]
        found.sort(key=lambda finding: (order.index(finding.level), finding.sequence, finding.path))
        return [finding for finding in found if level is None or finding.level == level]

    @property
    def ok(self) -> bool:
        return not self.all_findings(ERROR)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a program."""
        return {
            "root": str(self.root),
            "truth_root": str(self.truth_root),
            "layout": self.layout,
            "deep": self.deep,
            "ok": self.ok,
            "sequences": [
                {"name": s.name, "split": s.split or None, "counts": s.counts, "frames_with_truth": len(s.truth),
                 "frames_with_truth_and_scan": len(s.usable)}
                for s in self.sequences
            ],
            "commands": [
                {"command": n.command, "needs": n.needs, "possible": n.possible, "frames": n.frames,
                 "damaged": n.damaged, "hint": n.hint or None}
                for n in self.needs
            ],
            "findings": [vars(finding) for finding in self.all_findings()],
        }


def numbers(indices: Iterable[int], most: int = 5) -> str:
    """The first few of some frame numbers.

    >>> numbers(range(7))
    '000000, 000001, 000002, 000003, 000004 and 2 more'
    """
    ordered = sorted(indices)
    shown = ", ".join(f"{i:06d}" for i in ordered[:most])
    return shown + (f" and {len(ordered) - most} more" if len(ordered) > most else "")
