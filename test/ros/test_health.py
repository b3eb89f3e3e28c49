"""What the diagnostics say in each situation."""

from __future__ import annotations

import pytest

from pasco_ros.reporting.health import Health, Level, assess
from pasco_ros.reporting.outcomes import Outcome


def health(**changes) -> Health:
    counts = [0] * len(Outcome)
    counts[Outcome.PUBLISHED] = 3
    good = {
        "state": "active", "topic": "/points", "checkpoint": "a.safetensors", "trained": True, "device": "cpu",
        "publishers": 1, "clouds": True, "counts": counts, "latency": 0.25, "stages": {"network": 0.2},
    }
    return Health(**{**good, **changes})


def condition(name: str, **changes):
    return next(c for c in assess(health(**changes)) if c.name == name)


def test_a_node_at_work_is_ok_and_tells_its_numbers():
    assert [c.level for c in assess(health())] == [Level.OK] * 4
    values = condition("inference").values
    assert values["published"] == "3" and values["latency [ms]"] == "250.0" and values["network [ms]"] == "200.0"


@pytest.mark.parametrize(
    ("changes", "name", "level", "message"),
    [
        ({"configure_error": "CheckpointError: gone"}, "model", Level.ERROR, "CheckpointError: gone"),
        ({"state": "unconfigured"}, "model", Level.WARN, "Not configured"),
        ({"trained": False}, "model", Level.WARN, "never trained"),
        ({"clouds": False, "silence": 1.0}, "input", Level.WARN, "Waiting for the first cloud on /points; 1 publisher"),
        ({"silence": 5.1, "publishers": 0}, "input", Level.ERROR, "No cloud on /points for 5.1 s; 0 publishers"),
        ({"clock_missing": True}, "input", Level.ERROR, "/clock"),
        ({"publishers": 2}, "input", Level.WARN, "Expected one publisher on /points, got 2"),
        ({"qos_events": ["1 subscriber(s) on /x"]}, "connections", Level.WARN, "1 subscriber(s) on /x"),
        ({"silence": 9.0, "qos_events": ["1 publisher(s) on /p"]}, "input", Level.ERROR, "1 publisher(s) on /p"),
        ({"state": "inactive", "silence": 99.0}, "input", Level.OK, "the node is inactive"),
        ({"failures": 2, "last_problem": ("INFERENCE_FAILED", "boom", 0.1)}, "inference", Level.WARN, "boom"),
        ({"failures": 3, "pause_left": 1.5}, "inference", Level.ERROR, "next attempt in 1.5 s"),
        ({"last_problem": ("LAYOUT", "row_step", 0.5)}, "inference", Level.WARN, "LAYOUT: row_step"),
        ({"last_problem": ("LAYOUT", "row_step", 60.0)}, "inference", Level.OK, "3 of 3 clouds"),
    ],
)
def test_each_trouble_has_its_level_and_names_its_cause(changes, name, level, message):
    found = condition(name, **changes)
    assert found.level == level and message in found.message
