"""The report of a replay: one HTML page that needs nothing else, with a time line, accuracy, times and ages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pasco_core.evaluation.report_page import cards, facts, html_table, notes, page, paragraph
from pasco_core.evaluation.table import Number, Table, percent
from pasco_core.replay.summary import ReplaySummary, counts_of
from pasco_core.replay.timeline import Moment, timeline
from pasco_core.replay.virtual_node import Fate

_MOST_ROWS = 40


def make_report(summary: ReplaySummary) -> str:
    """The page."""
    timings = summary.timings()
    sections = [
        ("head", "", notes(summary.remarks()) + _cards(summary, timings)),
        ("time", "Over time", _timeline(summary)),
        ("outcomes", "Outcomes", html_table(outcome_table(summary))),
    ]
    if "realtime" in timings:
        sections.append(("realtime", "In real time", _realtime(timings["realtime"])))
    if summary.evaluation is not None:
        tables = "".join(html_table(table) for table in summary.evaluation.tables()[:4])
        sections.append(("accuracy", "Accuracy and calibration", tables))
    sections += [
        ("times", "Times", html_table(stage_table(timings))),
        ("worst", "Problems and worst clouds", _worst(summary)),
        ("settings", "Settings", facts(_settings(summary))),
    ]
    title = f"Replay of {summary.plan.bag.name}"
    return page(title, f"{summary.plan.topic} · {len(summary.records)} clouds", sections)


def tables_of(summary: ReplaySummary) -> list[Table]:
    """What a terminal shows: outcomes, real time, accuracy, times."""
    timings = summary.timings()
    tables = [outcome_table(summary)]
    if "realtime" in timings:
        tables.append(realtime_table(timings["realtime"]))
    if summary.evaluation is not None:
        tables += [summary.evaluation.tables()[0], summary.evaluation.tables()[3]]
    return [*tables, stage_table(timings)]


def outcome_table(summary: ReplaySummary) -> Table:
    """Clouds by outcome and code, those of the virtual clock where there is one."""
    counted: dict[tuple[str, str], list[str]] = {}
    for fate in summary.fates:
        counted.setdefault((fate.verdict.outcome.name, fate.verdict.code), []).append(fate.verdict.message)
    total = max(1, len(summary.fates))
    rows = tuple(
        (outcome, code, len(texts), percent(len(texts) / total, 1), texts[0][:160])
        for (outcome, code), texts in sorted(counted.items())
    )
    return Table("Clouds by outcome", ("outcome", "code", "clouds", "%", "such as"), rows)


def realtime_table(values: Mapping[str, Any]) -> Table:
    """Ages, delays and waiting times on the virtual clock."""
    meanings = {"age": "age of results: stamp to result", "delay": "delay of results: arrival to result",
                "waited": "wait for the computation"}
    rows = tuple(_spread_row(text, values[name]) for name, text in meanings.items() if values[name])
    latency = "as measured" if values["latency"] is None else f"{values['latency']:g} s"
    rates = ", ".join(
        f"{values[name]:.2f} {text} per second"
        for name, text in (("clouds_per_second", "clouds"), ("results_per_second", "results")) if values[name]
    )
    return Table("Real time (s)", _SPREAD, rows, f"latency {latency}; {rates}")


def stage_table(timings: Mapping[str, Any]) -> Table:
    """Seconds per stage; the first cloud of each process left out where there are others."""
    rows = [_spread_row(name, spread) for name, spread in timings["stages"].items()]
    if timings["latency"]:
        rows.append(_spread_row("latency: all that a node does", timings["latency"]))
    note = "without the first cloud of each process" if timings["first_clouds_left_out"] else ""
    return Table("Stages (s)", _SPREAD, tuple(rows), note, len(rows) - 1 if timings["latency"] else None)


_SPREAD = ("", "mean", "median", "95 %", "largest")


def _spread_row(name: str, spread: Mapping[str, float]) -> tuple[object, ...]:
    return (name, *(Number(spread[key], 3) for key in ("mean", "median", "p95", "max")))


def _cards(summary: ReplaySummary, timings: Mapping[str, Any]) -> str:
    outcomes = counts_of(fate.verdict.outcome for fate in summary.fates)
    entries = [("clouds", str(len(summary.records)), "read from the bag"),
               ("published", str(outcomes.get("PUBLISHED", 0)), "clouds with a result")]
    if timings["latency"]:
        entries.append(("latency", f"{timings['latency']['median']:.2f} s", "median"))
    if "realtime" in timings:
        dropped = sum(count for name, count in outcomes.items() if name.startswith("DROPPED"))
        entries.append(("dropped", str(dropped), "for a newer cloud, or too old"))
        if timings["realtime"]["delay"]:
            entries.append(("delay", f"{timings['realtime']['delay']['median']:.2f} s", "arrival to result, median"))
    if summary.evaluation is not None:
        figures = summary.evaluation.lead_figures
        completion, panoptic = figures["completion"]["paper"], figures["panoptic"]["paper"]["all"]
        entries += [("mIoU", str(percent(completion["miou"])), "paper protocol"),
                    ("IoU", str(percent(completion["iou"])), "occupied against empty"),
                    ("PQ†", str(percent(panoptic["pq_dagger"])), "paper protocol"),
                    ("voxel ECE", str(Number(figures["calibration"]["voxels"]["ece"], 4)), "calibration error")]
    return cards(entries)


def _timeline(summary: ReplaySummary) -> str:
    if not summary.records:
        return paragraph("No cloud was read.")
    fates = {fate.number: fate for fate in summary.fates}
    start = summary.records[0].received
    moments = []
    for record in summary.records:
        fate = fates[record.number]
        seconds = fate.delay if summary.plan.realtime else record.latency
        text = f"cloud {record.number}: {fate.verdict.outcome.name}" + (f", {seconds:.3f} s" if seconds else "")
        moments.append(Moment(
            (record.received - start) / 1e9, seconds, fate.verdict.outcome, record.scores.get("miou"), text
        ))
    what = "delay of each result" if summary.plan.realtime else "latency of each cloud"
    return timeline(moments, f"{what}, over the time of recording") + paragraph(
        "Blue: published; amber: dropped; grey: nothing in it, or discarded; red: failed. Point at a column for more."
    )


def _realtime(values: Mapping[str, Any]) -> str:
    gap = values["longest_gap"]
    text = "" if gap is None else paragraph(f"The longest time without a new result was {gap:.2f} s.")
    return html_table(realtime_table(values)) + text + paragraph(
        "On a virtual clock each computation begins when the one before ends: of the clouds that arrive meanwhile the "
        "newest waits, the others are dropped, and what is older than max_age is dropped, too: the node's rules."
    )


def _worst(summary: ReplaySummary) -> str:
    failed = [fate for fate in summary.fates if fate.verdict.outcome.name in
              ("REJECTED", "TF_UNAVAILABLE", "INFERENCE_FAILED")]
    parts = []
    if failed:
        rows = tuple(map(_failure_row, failed[:_MOST_ROWS]))
        more = f"the first {_MOST_ROWS} of {len(failed)}" if len(failed) > _MOST_ROWS else ""
        parts.append(html_table(Table("Clouds without a result", ("cloud", "outcome", "code", "why"), rows, more)))
    scored = sorted((r.scores["miou"], r.number) for r in summary.records if r.scores.get("miou") is not None)
    if scored:
        rows = tuple((number, percent(score, 1)) for score, number in scored[:10])
        parts.append(html_table(Table("Lowest mIoU of the classes in a cloud", ("cloud", "mIoU"), rows)))
    return "".join(parts) or paragraph("None.")


def _failure_row(fate: Fate) -> tuple[object, ...]:
    return fate.number, fate.verdict.outcome.name, fate.verdict.code, fate.verdict.message[:200]


def _settings(summary: ReplaySummary) -> list[tuple[str, str]]:
    values = summary.values()
    rows = [(name.replace("_", " "), str(value)) for name, value in values["recipe"].items() if value is not None]
    rows += [(f"{name} (place)", place) for name, place in values["places"].items()]
    rows += [(f"scan: {name}", text) for name, text in summary.statistics.items()]
    rows += [(f"also in the bag: {kind}", ", ".join(names)) for kind, names in summary.topics.items()]
    return [*rows, ("SHA-256 of the predictions", values["sha256"])]
