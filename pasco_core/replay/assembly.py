"""Clouds done in any order, put together in their own: fates on the virtual clock, counts, files of the bag."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pasco_core.data.bags.message_classes import message_classes
from pasco_core.data.bags.writer import BagWriter
from pasco_core.messages.message_types import MESSAGE_TYPES
from pasco_core.messages.scene_messages import status_message
from pasco_core.replay.outputs import (
    BAG_FORMAT,
    CLOUDS_PER_FILE,
    STATUS,
    bag_parts,
    bag_topics,
    forget,
    kept,
    topic_of,
)
from pasco_core.replay.plan import ReplayPlan
from pasco_core.replay.record import CloudRecord
from pasco_core.replay.virtual_node import Arrival, Fate, VirtualNode
from pasco_core.stream.outcomes import FrameLedger, FrameReport, Outcome, Verdict

NOTES = "pasco_replay_topic"
_DELIVERED = (Outcome.PUBLISHED, Outcome.EMPTY)


class Assembly:
    """Takes records in any order.

    Args:
        plan: what is done.
        out: where.
        done: numbers of the clouds whose records are on disk already.
    """

    def __init__(self, plan: ReplayPlan, out: Path, done: frozenset[int]) -> None:
        self._plan, self._out = plan, out
        self._done = set(done)
        self._types = message_classes(MESSAGE_TYPES)
        self._parts = bag_parts(out)
        self._written = 0
        self._left = list(reversed(plan.numbers()))
        self._node = VirtualNode(plan.settings.max_age, plan.topic) if plan.realtime is not None else None
        self._ledger = FrameLedger()
        self._fates: dict[int, Fate] = {}
        self._status: dict[int, tuple[int, ...]] = {}
        self._order: list[int] = []

    def add(self, record: CloudRecord) -> None:
        """A cloud is done."""
        self._done.add(record.number)
        while self._left and self._left[-1] in self._done:
            self._arrive(CloudRecord.read(self._out, self._left.pop()))
        self._write_files(final=False)

    def end(self) -> list[Fate]:
        """Everything is done, as far as the bag could be read; returns what became of each cloud, in order."""
        while self._left:  # those that were done before, behind the last new one
            number = self._left.pop()
            if number in self._done:
                self._arrive(CloudRecord.read(self._out, number))
        if self._node is not None:
            self._settle(self._node.end())
        self._write_files(final=True)
        if not self._parts.is_whole:
            count = -(-len(self._order) // CLOUDS_PER_FILE)
            if count:
                self._parts.join(count, {NOTES: self._plan.topic})
        shutil.rmtree(self._out / "kept", ignore_errors=True)
        return [self._fates[number] for number in self._order]

    def _arrive(self, record: CloudRecord) -> None:
        self._order.append(record.number)
        self._ledger.receive()
        if self._node is None:
            self._settle([Fate(record.number, record.verdict, record.received)])
            return
        flush = Verdict(Outcome.FLUSHED, "CLOCK_JUMP", record.flush) if record.flush else None
        fixed = self._plan.realtime.latency if self._plan.realtime else None
        latency = record.latency if fixed is None else fixed
        self._settle(self._node.arrive(Arrival(
            record.number, record.received, record.stamp, latency, record.verdict, record.refused, flush
        )))

    def _settle(self, fates: Iterable[Fate]) -> None:
        for fate in fates:
            self._fates[fate.number] = fate
            self._status[fate.number] = self._ledger.settle(fate.verdict.outcome)

    def _write_files(self, final: bool) -> None:
        """Every file of the bag of which all clouds have met their fate."""
        while True:
            first = self._written * CLOUDS_PER_FILE
            numbers = self._order[first : first + CLOUDS_PER_FILE]
            full = len(numbers) == CLOUDS_PER_FILE or (final and numbers)
            if not full or any(number not in self._fates for number in numbers):
                return
            if not self._parts.is_whole and not self._parts.has(self._written):
                topics = bag_topics(self._plan.settings, bool(self._plan.sensors.cameras))
                self._parts.write(self._written, partial(self._fill, numbers), topics, BAG_FORMAT)
            for number in numbers:
                forget(self._out, number)
                del self._status[number]
            self._written += 1

    def _fill(self, numbers: list[int], writer: BagWriter) -> None:
        for number in sorted(numbers, key=lambda n: (self._fates[n].settled, n)):
            fate, record = self._fates[number], CloudRecord.read(self._out, number)
            if fate.verdict.outcome in _DELIVERED and fate.verdict.code != "EMPTY":
                for name, data in kept(self._out, number).items():
                    writer.write(topic_of(name), fate.settled, data)
            writer.write(STATUS, fate.settled, self._status_message(record, fate))

    def _status_message(self, record: CloudRecord, fate: Fate) -> Any:
        stamp = self._types.Time(sec=record.stamp // 10**9, nanosec=record.stamp % 10**9)
        header = self._types.Header(stamp=stamp, frame_id=record.frame_id)
        cloud = SimpleNamespace(
            message=SimpleNamespace(header=header), topic=self._plan.topic, points_in=record.points_in
        )
        computed = fate.waited is not None or self._node is None
        report = FrameReport(
            record.points_in_range, record.occupied_voxels, record.n_segments,
            float("nan") if fate.age is None else fate.age, record.effort if computed else "",
            record.node_stages() if computed else {},
        )
        return status_message(self._types, cloud, fate.verdict, report, self._status[record.number])
