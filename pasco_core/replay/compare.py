"""Two replays side by side: what differs in settings, outcomes, accuracy and times, and the clouds that got worst."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pasco_core.data.bags import open_bag
from pasco_core.data.frame import VoxelTruth
from pasco_core.errors import DataError
from pasco_core.evaluation.comparison_picture import Words, compare_pictures
from pasco_core.evaluation.plan import differences
from pasco_core.evaluation.report_page import facts, html_table, notes, page, paragraph, picture
from pasco_core.evaluation.table import Number, Table
from pasco_core.evaluation.worst_frames import small_png
from pasco_core.messages.scene_reader import scene_from_messages
from pasco_core.prediction import ScenePrediction
from pasco_core.replay.outputs import topic_of
from pasco_core.replay.record import CloudRecord
from pasco_core.replay.summary import RESULTS_FILE, SUMMARY_FILE, TIMINGS_FILE
from pasco_core.stream.header_checks import stamp_ns

_WORDS = Words("A", "B", "what changed", "the same", "another class", "only in B", "only in A")


@dataclass(frozen=True)
class Side:
    """One finished replay.

    Args:
        folder: its results.
        summary, timings: its files.
        clouds: by stamp.
    """

    folder: Path
    summary: Mapping[str, Any]
    timings: Mapping[str, Any]
    clouds: Mapping[int, CloudRecord]

    @classmethod
    def read(cls, folder: Path) -> Side:
        """The results in a folder.

        Raises:
            DataError: it holds none, or the replay there is not finished.
        """
        try:
            summary, timings = (json.loads((folder / n).read_text("utf-8")) for n in (SUMMARY_FILE, TIMINGS_FILE))
            lines = (folder / RESULTS_FILE).read_text("utf-8").splitlines()
            records = [CloudRecord.of(json.loads(line)) for line in lines]
            return cls(folder, summary, timings, {record.stamp: record for record in records})
        except FileNotFoundError as error:
            raise DataError(f"Expected {folder} to hold a finished `pasco replay`, got no {error.filename}") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"Expected {folder} to hold results of `pasco replay`, got {error!r}") from error


@dataclass(frozen=True)
class Comparison:
    """Replay B against replay A."""

    a: Side
    b: Side

    @property
    def common(self) -> list[int]:
        """Stamps of the clouds of both, in order."""
        return [stamp for stamp in self.a.clouds if stamp in self.b.clouds]

    def remarks(self) -> list[str]:
        """What a reader must not miss."""
        common, lines = self.common, []
        bags = {side.summary.get("identity", {}).get("bag") for side in (self.a, self.b)}
        if len(bags) > 1:
            lines.append("The two replays are of different bags")
        if len(common) < max(len(self.a.clouds), len(self.b.clouds)):
            lines.append(f"{len(common)} clouds are in both; A has {len(self.a.clouds)}, B has {len(self.b.clouds)}")
        same = sum(self.a.clouds[s].prediction == self.b.clouds[s].prediction != "" for s in common)
        lines.append(f"{same} of {len(common)} predictions are the same bit by bit")
        return lines + [f"Setting {text}" for text in self.settings()]

    def settings(self) -> list[str]:
        """Settings that differ."""
        changed = differences(self.a.summary["recipe"], self.b.summary["recipe"])
        return [text.replace(" there,", " in A,").removesuffix(" here") + " in B" for text in changed]

    def tables(self) -> list[Table]:
        """Outcomes, accuracy, times, and the worst regressions."""
        return [table for table in (self._outcomes(), self._accuracy(), self._times(), self._worst()) if table.rows]

    def worst(self, count: int) -> list[int]:
        """Stamps of the clouds that changed for the worse most: in mIoU where both have it, else in occupied voxels."""
        ranked = sorted((self._change(stamp), stamp) for stamp in self.common if self._changed(stamp))
        return [stamp for change, stamp in ranked[:count] if change < 0]

    def values(self) -> dict[str, Any]:
        """The tables as plain values."""
        tables = {
            table.title: [dict(zip(table.header, map(_plain, row), strict=True)) for row in table.rows]
            for table in self.tables()
        }
        return {"a": str(self.a.folder), "b": str(self.b.folder), "remarks": self.remarks(), "tables": tables}

    def _changed(self, stamp: int) -> bool:
        return self.a.clouds[stamp].prediction != self.b.clouds[stamp].prediction

    def _scored(self) -> bool:
        return any(side.clouds[s].scores.get("miou") is not None for side in (self.a, self.b) for s in self.common)

    def _change(self, stamp: int) -> float:
        one, other = self.a.clouds[stamp], self.b.clouds[stamp]
        before, after = one.scores.get("miou"), other.scores.get("miou")
        if before is not None and after is not None:
            return after - before
        if self._scored():
            return 0.0
        return -abs(other.occupied_voxels - one.occupied_voxels) / max(one.occupied_voxels, other.occupied_voxels, 1)

    def _outcomes(self) -> Table:
        left, right = (
            side.timings.get("realtime", side.summary)["outcomes"] for side in (self.a, self.b)
        )
        rows = tuple((name, left.get(name, 0), right.get(name, 0), right.get(name, 0) - left.get(name, 0))
                     for name in sorted({*left, *right}))
        return Table("Clouds by outcome", ("outcome", "A", "B", "difference"), rows)

    def _accuracy(self) -> Table:
        left, right = (_figures(side.summary.get("accuracy")) for side in (self.a, self.b))
        rows = [_number_row(name, left.get(name), right.get(name), 4) for name in left if name in right]
        return Table("Accuracy and calibration", ("", "A", "B", "difference"), tuple(rows),
                     "shares, 0 to 1; of ECE and NLL less is better")

    def _times(self) -> Table:
        left, right = (_medians(side.timings) for side in (self.a, self.b))
        rows = [_number_row(name, left.get(name), right.get(name), 3) for name in dict.fromkeys([*left, *right])]
        return Table("Seconds, median", ("", "A", "B", "difference"), tuple(rows))

    def _worst(self) -> Table:
        scored, rows = self._scored(), []
        for stamp in self.worst(10):
            one, other = self.a.clouds[stamp], self.b.clouds[stamp]
            voxels = one.occupied_voxels, other.occupied_voxels
            change = (_number_row("", one.scores.get("miou"), other.scores.get("miou"), 5)[1:] if scored
                      else (voxels[1] - voxels[0],))
            rows.append((one.number, f"{stamp / 1e9:.3f}", *voxels, *change))
        title = "Worst regressions" if scored else "Largest changes of occupied voxels"
        compared = ("mIoU A", "mIoU B", "difference") if scored else ("difference",)
        return Table(title, ("cloud", "stamp", "voxels A", "voxels B", *compared), tuple(rows))


def comparison_page(comparison: Comparison, count: int) -> str:
    """One HTML page with tables, and pictures of the ``count`` worst regressions."""
    pictures = "".join(picture(png, caption) for png, caption in _pictures(comparison, count))
    sections = [
        ("head", "", notes(comparison.remarks())),
        ("tables", "Differences", "".join(map(html_table, comparison.tables()))),
        ("worst", "Pictures", pictures or paragraph("No cloud got worse, or no pictures were asked for.")),
        ("folders", "Folders", facts([("A", str(comparison.a.folder)), ("B", str(comparison.b.folder))])),
    ]
    return page("Two replays", f"{comparison.a.folder} → {comparison.b.folder}", sections)


def _pictures(comparison: Comparison, count: int) -> Iterator[tuple[bytes, str]]:
    wanted = comparison.worst(count)
    if not wanted:
        return
    before, after = (_scenes(side.folder, frozenset(wanted)) for side in (comparison.a, comparison.b))
    for stamp in wanted:
        if stamp in before and stamp in after:
            reference = VoxelTruth(before[stamp].semantics, before[stamp].panoptic.astype("u2"))
            image = compare_pictures(after[stamp], reference, _WORDS)
            yield small_png(image), f"cloud {comparison.a.clouds[stamp].number}, stamp {stamp / 1e9:.3f} s"


def _scenes(folder: Path, stamps: frozenset[int]) -> dict[int, ScenePrediction]:
    """The scenes of some clouds, from the output bag."""
    voxels, segments = topic_of("voxels"), topic_of("segments")
    found: dict[int, dict[str, Any]] = {stamp: {} for stamp in stamps}
    with open_bag(folder / "bag") as reader:
        for name, _, message in reader.messages([voxels, segments]):
            stamp = stamp_ns(message.header.stamp)
            if stamp in stamps:
                found[stamp][name] = message
    return {stamp: scene_from_messages(pair[voxels], pair[segments]) for stamp, pair in found.items() if len(pair) == 2}


def _figures(accuracy: Mapping[str, Any] | None) -> dict[str, float | None]:
    if not accuracy:
        return {}
    figures = list(next(iter(accuracy["results"].values())).values())[-1]
    completion, panoptic = figures["completion"]["paper"], figures["panoptic"]["paper"]
    calibration = figures["calibration"]
    return {
        **{name: completion[name] for name in ("iou", "miou", "precision", "recall")},
        **{f"{group} PQ": panoptic[group]["pq"] for group in ("all", "things", "stuff")},
        "PQ†": panoptic["all"]["pq_dagger"],
        "voxel ECE": calibration["voxels"]["ece"], "segment ECE": calibration["segments"]["ece"],
    }


def _medians(timings: Mapping[str, Any]) -> dict[str, float]:
    spreads = {"latency": timings["latency"], **timings["stages"]}
    spreads |= {name: timings["realtime"][name] for name in ("age", "delay", "waited") if "realtime" in timings}
    return {name: spread["median"] for name, spread in spreads.items() if spread}


def _number_row(name: str, one: float | None, other: float | None, decimals: int) -> tuple[object, ...]:
    change = None if one is None or other is None else other - one
    return name, Number(one, decimals), Number(other, decimals), Number(change, decimals)


def _plain(cell: object) -> object:
    return cell.value if isinstance(cell, Number) else cell
