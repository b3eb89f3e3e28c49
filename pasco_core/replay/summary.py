"""What a replay found, as plain values: outcomes, digest, accuracy, times, ages; and the files they are written to."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pasco_core.atomic_write import write_text_whole
from pasco_core.data.bags import BagReader
from pasco_core.data.bags.sequence_messages import GRID_TYPE, TRUTH_TOPIC
from pasco_core.data.scan_statistics import TRAINING_SENSORS, differences
from pasco_core.evaluation.condition import CLEAN
from pasco_core.evaluation.frame_record import FrameRecord, record_path
from pasco_core.evaluation.notes import merged_notes
from pasco_core.evaluation.plan import WorkItem
from pasco_core.evaluation.results import Results
from pasco_core.evaluation.summary import summarise
from pasco_core.replay.plan import ReplayPlan, read_run
from pasco_core.replay.record import CloudRecord, digest_of
from pasco_core.replay.run import ReplayRun
from pasco_core.replay.virtual_node import Fate
from pasco_core.replay.worker import EVALUATION, evaluation_run
from pasco_core.stream.outcomes import Outcome

FORMAT_VERSION = 1
SUMMARY_FILE, TIMINGS_FILE, RESULTS_FILE, REPORT_FILE = "summary.json", "timings.json", "results.jsonl", "report.html"
"""Results: one line per cloud, and a summary, the same bits on every run; times, which are not; and the report."""


@dataclass
class ReplaySummary:
    """What a replay found.

    Args:
        plan: what was done.
        records: of the clouds, in order.
        fates: what became of each on the virtual clock; without one, its outcome.
        damage: what is wrong with the bag, one sentence each.
        missing: what of the settings was not used, or the bag did not have for it, one sentence each.
        sensor: how its scans differ from the training sensor's, one clause each; None: not compared.
        statistics: how its scans look in numbers.
        topics: what else the bag holds, type → names.
        evaluation: against the truth; None without.
        identity: which bag and truth it is.
        clouds_read: clouds of the bag up to its end or its damage, with those that ``every`` leaves out.
    """

    plan: ReplayPlan
    records: list[CloudRecord]
    fates: list[Fate]
    damage: tuple[str, ...]
    missing: tuple[str, ...]
    sensor: list[str] | None
    statistics: Mapping[str, str]
    topics: Mapping[str, list[str]]
    evaluation: Results | None
    identity: Mapping[str, str]
    clouds_read: int

    def remarks(self) -> list[str]:
        """What a reader must not miss."""
        lines = list(self.damage)
        if self.damage:
            taken, read = len(self.records), self.clouds_read
            some = f"the {read}" if taken == read else f"{taken} of the {read}"
            lines.append(f"The numbers are of {some} clouds that could be read before the damage")
        lines += self.missing
        if self.sensor:
            lines.append(f"The scans differ from those of the training sensor, {self.plan.settings.training_sensor}: "
                         f"{'; '.join(self.sensor)}. Predictions may be worse than the numbers of the model card")
        offset = self._clock_offset()
        if offset is not None and abs(offset) > 60:
            lines.append(f"The stamps of the clouds lie {abs(offset):,.0f} s {'before' if offset > 0 else 'after'} the "
                         "time of their recording: ages count from the stamp, delays from the recording")
        if self.evaluation is not None:
            lines += self.evaluation.remarks()
        elif self.plan.truth is not None or TRUTH_TOPIC in self.topics.get(GRID_TYPE, ()):
            lines.append("No cloud was scored: none has both a prediction and voxel truth that fits it")
        return lines + [f"{note} ({count} of {len(self.records)} clouds)" for note, count in self.notes().items()]

    def notes(self) -> dict[str, int]:
        """Notes of decoder and network, with the number of clouds that have them."""
        return merged_notes(note for record in self.records for note in record.notes)

    def values(self) -> dict[str, Any]:
        """Everything but what depends on the machine; JSON-able."""
        accuracy = self.evaluation.metrics() if self.evaluation else None
        return {
            "format": FORMAT_VERSION, "recipe": self.plan.recipe(), "places": self.plan.places(),
            "identity": dict(self.identity),
            "clouds": len(self.records), "sha256": digest_of(self.records),
            "outcomes": counts_of(record.verdict.outcome for record in self.records),
            "codes": dict(sorted(Counter(r.verdict.code for r in self.records).items())),
            "damage": list(self.damage), "remarks": list(self.missing),
            "sensor": {"numbers": dict(self.statistics), "differs": self.sensor},
            "other_topics": dict(self.topics), "notes": self.notes(),
            "accuracy": accuracy and {"frames": len(accuracy["frames"]), "results": accuracy["results"]},
        }

    def timings(self) -> dict[str, Any]:
        """What depends on the machine; with a given latency, ages and drops do not."""
        warm = [record for record in self.records if record.effort and not record.first]
        timed = warm or [record for record in self.records if record.effort]
        names = dict.fromkeys(name for record in timed for name in record.seconds)
        stages = {name: _spread([record.seconds[name] for record in timed if name in record.seconds]) for name in names}
        values: dict[str, Any] = {
            "format": FORMAT_VERSION, "first_clouds_left_out": bool(warm),
            "latency": _spread([record.latency for record in timed]), "stages": stages,
        }
        if self.plan.realtime is not None:
            values["realtime"] = self._realtime()
        return values

    def _realtime(self) -> dict[str, Any]:
        fates = self.fates
        outcomes = counts_of(fate.verdict.outcome for fate in fates)
        delivered = [fate for fate in fates if fate.age is not None]
        return {
            "latency": self.plan.realtime.latency if self.plan.realtime else None,
            "max_age": self.plan.settings.max_age, "outcomes": outcomes,
            "clouds_per_second": _rate([record.received for record in self.records]),
            "results_per_second": _rate(sorted(fate.settled for fate in delivered)),
            "age": _spread([fate.age for fate in delivered if fate.age is not None]),
            "delay": _spread([fate.delay for fate in delivered if fate.delay is not None]),
            "waited": _spread([fate.waited for fate in fates if fate.waited is not None]),
            "longest_gap": _longest_gap(delivered),
        }

    def _clock_offset(self) -> float | None:
        """Seconds between stamp and recording, in the middle of the clouds."""
        offsets = [(r.received - r.stamp) / 1e9 for r in self.records if r.stamp]
        return statistics.median(offsets) if offsets else None

    def write(self, out: Path) -> list[Path]:
        """Write the files but the report, and return their paths."""
        lines = (json.dumps(record.result(), allow_nan=False) + "\n" for record in self.records)
        fates = {fate.number: fate for fate in self.fates}
        clouds = [
            {"number": r.number, "seconds": dict(r.seconds), "first": r.first, **_fate_values(fates.get(r.number))}
            for r in self.records
        ]
        texts = {
            SUMMARY_FILE: json.dumps(self.values(), indent=1, allow_nan=False) + "\n",
            TIMINGS_FILE: json.dumps({**self.timings(), "clouds": clouds}, indent=1, allow_nan=False) + "\n",
            RESULTS_FILE: "".join(lines),
        }
        for name, text in texts.items():
            write_text_whole(out / name, text)
        return [out / name for name in texts]


def summary_of(run: ReplayRun, reader: BagReader) -> ReplaySummary:
    """Of a replay that is done.

    Raises:
        DataError: a record is damaged.
    """
    plan = run.plan
    records = [CloudRecord.read(run.out, fate.number) for fate in run.fates]
    sensor = None
    name = plan.settings.training_sensor
    if run.statistics is not None and name != "none":
        sensor = differences(run.statistics, TRAINING_SENSORS[name])
    others: dict[str, list[str]] = {}
    for topic in reader.topics.values():
        if topic.count and topic.name != plan.topic:
            others.setdefault(topic.type, []).append(topic.name)
    numbers = run.statistics.values() if run.statistics is not None else {}
    return ReplaySummary(
        plan, records, run.fates, run.damage, (*plan.remarks, *plan.sensors.lacks, *run.remarks), sensor, numbers,
        dict(sorted(others.items())), _evaluation(run, records), read_run(run.out)["identity"], run.clouds_read,
    )


def _evaluation(run: ReplayRun, records: Sequence[CloudRecord]) -> Results | None:
    """Metrics of all clouds with truth, merged as ``pasco eval`` merges them."""
    numbers = tuple(record.number for record in records if record.scores)
    if not numbers:
        return None
    folder = run.out / EVALUATION
    first = FrameRecord.read(record_path(folder, WorkItem(CLEAN, run.plan.frame(numbers[0]))))
    settings = evaluation_run(run.plan, next(iter(first.metrics.values()))["labels"], numbers)
    settings.write(folder)
    return Results(summarise([folder], settings))


def counts_of(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How often each outcome occurs, in the order of their numbers."""
    counted = Counter(outcomes)
    return {outcome.name: counted[outcome] for outcome in Outcome if counted[outcome]}


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    """Mean, median, 95th percentile and largest of some seconds."""
    if not values:
        return None
    ordered = sorted(values)
    return {
        "mean": statistics.fmean(ordered), "median": statistics.median(ordered),
        "p95": ordered[min(len(ordered) - 1, -(-95 * len(ordered) // 100) - 1)], "max": ordered[-1],
    }


def _rate(times: Sequence[int]) -> float | None:
    """How many per second there are at ascending times in ns."""
    return (len(times) - 1) * 1e9 / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else None


def _longest_gap(delivered: Sequence[Fate]) -> float | None:
    """Most seconds without a new result."""
    times = sorted(fate.settled for fate in delivered)
    return max(((b - a) / 1e9 for a, b in pairwise(times)), default=None)


def _fate_values(fate: Fate | None) -> dict[str, Any]:
    if fate is None:
        return {}
    return {"outcome": fate.verdict.outcome.name, "waited": fate.waited, "age": fate.age, "delay": fate.delay}
