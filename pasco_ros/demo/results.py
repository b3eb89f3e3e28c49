"""What the demo's recording shows: counts, latencies, and whether everything adds up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pasco_core.messages.outputs import OUTPUTS
from pasco_core.stream.header_checks import stamp_ns
from pasco_core.stream.outcomes import Outcome
from pasco_ros.demo.bag import read_bag
from pasco_ros.demo.topics import CLOUDS, NODE, STATUS, TOPICS


@dataclass
class Recording:
    """The contents of the bag, without the large arrays.

    Args:
        counts: messages by topic.
        statuses: the FrameStatus messages in order.
        stamps: stamps in ns of the messages of each output and of the clouds, by topic.
    """

    counts: Counter[str] = field(default_factory=Counter)
    statuses: list[Any] = field(default_factory=list)
    stamps: dict[str, list[int]] = field(default_factory=dict)

    @property
    def published(self) -> list[Any]:
        """Statuses of the clouds whose outputs were published."""
        return [status for status in self.statuses if status.outcome == Outcome.PUBLISHED]


def read_recording(bag: Path) -> Recording:
    """Read a bag back, every message of it.

    Raises:
        DataError: it is missing or broken.
    """
    recording = Recording(stamps={topic.name: [] for topic in TOPICS})
    for topic, _, message in read_bag(bag):
        recording.counts[topic] += 1
        header = message.markers[0].header if hasattr(message, "markers") else message.header
        recording.stamps[topic].append(stamp_ns(header.stamp))
        if topic == STATUS:
            recording.statuses.append(message)
    return recording


def summarise(recording: Recording, asked: int, sent: int) -> dict[str, Any]:
    """Counts, latencies and checks, as they go into summary.json.

    Args:
        recording: what was recorded.
        asked: clouds the player was asked to publish.
        sent: clouds the player published.
    """
    received = int(recording.statuses[-1].frames_received) if recording.statuses else 0
    outcomes = Counter(Outcome(status.outcome).name.lower() for status in recording.statuses)
    codes = Counter(
        f"{Outcome(s.outcome).name.lower()} ({s.code})" for s in recording.statuses if s.outcome != Outcome.PUBLISHED
    )
    return {
        "clouds": {
            "asked for": asked, "sent": sent, "received": received, "lost on the way": sent - received,
            "published": outcomes.get("published", 0), "not published, by reason": dict(codes),
        },
        "outcomes": dict(outcomes),
        "latency_ms": _latencies(recording.published),
        "messages": dict(sorted(recording.counts.items())),
        "checks": _checks(recording, sent, received),
    }


def _latencies(published: list[Any]) -> dict[str, dict[str, float]]:
    """Median and 95th percentile in ms of each stage, of their sum, and of the age of the stamp at publication."""
    stages: dict[str, list[float]] = {}
    for status in published:
        for name, seconds in zip(status.stage_names, status.stage_seconds, strict=True):
            stages.setdefault(name, []).append(1e3 * float(seconds))
    stages["reception to publication"] = [1e3 * float(np.sum(s.stage_seconds)) for s in published]
    stages["stamp to publication"] = [1e3 * float(s.age) for s in published]
    return {
        name: {"median": round(float(np.median(v)), 2), "p95": round(float(np.percentile(v, 95)), 2)}
        for name, v in stages.items() if v
    }


def _checks(recording: Recording, sent: int, received: int) -> dict[str, bool]:
    published = [stamp_ns(s.header.stamp) for s in recording.published]
    # Of an empty cloud an all-unknown grid is published.
    answered = published + [stamp_ns(s.header.stamp) for s in recording.statuses if s.code == "EMPTY_UNKNOWN"]
    last = recording.statuses[-1].frames_by_outcome if recording.statuses else []
    return {
        "at least one cloud was published": bool(published),
        "inputs = sum of outcomes": received == len(recording.statuses) == int(sum(last)) and not any(last[:1]),
        "the bag holds every cloud sent": recording.counts[CLOUDS] == sent,
        "the bag holds every output of every published cloud": all(
            sorted(recording.stamps[f"{NODE}/{output.name}"]) == sorted(answered) for output in OUTPUTS
        ),
        "every output has the stamp of a cloud": set(answered) <= set(recording.stamps[CLOUDS]),
    }


def scene_messages(bag: Path, stamp: int) -> dict[str, Any]:
    """The messages of one cloud: itself and its outputs, by topic."""
    found: dict[str, Any] = {}
    wanted = (CLOUDS, f"{NODE}/voxels", f"{NODE}/segments", STATUS)
    for topic, _, message in read_bag(bag, wanted):
        if stamp_ns(message.header.stamp) == stamp:
            found[topic] = message
    return found
