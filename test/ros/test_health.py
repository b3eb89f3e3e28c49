"""What the diagnostics say in each situation."""

from __future__ import annotations

import pytest

from pasco_core.stream.outcomes import Outcome
from pasco_ros.reporting.health import Health, Level, TransformCounts, assess

REFUSED = {"base_frame": "base", "transforms": TransformCounts(5, 1, "Refused on /tf: NaN")}


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
    assert {c.level for c in assess(health())} == {Level.OK}
    values = condition("inference", total=[0, 9, *[0] * 6, 2, 0, 0]).values
    assert values["since the node's start"] == "9 published, 2 rejected"
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
        ({"busy": 7.5}, "inference", Level.ERROR, "The present computation has been running for 7.5 s"),
        ({"effort": "full"}, "effort", Level.OK, "full"),
        ({"effort": "shorter_range", "effort_reason": "3 of the last 3 deadlines were missed"}, "effort", Level.WARN,
         "shorter_range: 3 of the last 3 deadlines were missed"),
        ({"effort": "shorter_range", "state": "inactive"}, "effort", Level.OK, "shorter_range"),
        ({"effort": "full", "shortfall": "5 of the last 5 deadlines were missed"}, "effort", Level.ERROR,
         "full: 5 of the last 5 deadlines were missed"),
        ({}, "frames", Level.OK, "sensor_pose says where the sensor is"),
        ({"base_frame": "base", "state": "unconfigured"}, "frames", Level.OK, "the node is unconfigured"),
        ({"base_frame": "base", "transforms": TransformCounts()}, "frames", Level.WARN, "base_frame 'base' is needed"),
        ({"base_frame": "base", "transforms": TransformCounts(5)}, "frames", Level.OK, "5 transforms received"),
        ({"last_jump": ("The node's clock jumped back", 0.5)}, "frames", Level.WARN, "The node's clock jumped back"),
        ({**REFUSED, "transform_problem_age": 1.0}, "frames", Level.WARN, "Refused on /tf"),
        ({**REFUSED, "transform_problem_age": 60.0}, "frames", Level.OK, "5 transforms received"),
        ({**REFUSED, "last_problem": ("EXTRAPOLATION_FUTURE", "late", 0.5)}, "frames", Level.WARN,
         "EXTRAPOLATION_FUTURE: late"),
        ({**REFUSED, "last_problem": ("LAYOUT", "row_step", 0.5)}, "frames", Level.OK, "5 transforms received"),
    ],
)
def test_each_trouble_has_its_level_and_names_its_cause(changes, name, level, message):
    found = condition(name, **changes)
    assert found.level == level and message in found.message
