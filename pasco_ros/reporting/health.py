"""What /diagnostics says about the node: plain rules over a snapshot, without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from pasco_ros.reporting.outcomes import Outcome


class Level(IntEnum):
    """Levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Condition:
    """One line of the diagnostics: what it is about, how it stands, and the numbers behind it."""

    name: str
    level: Level
    message: str
    values: dict[str, str] = field(default_factory=dict)


@dataclass
class Health:
    """What the node knows about itself.

    Args:
        state: lifecycle state: unconfigured, inactive, active or finalized.
        topic: the input topic, resolved.
        checkpoint: the weights in words, "" before configure.
        trained: whether those weights were trained.
        device: where the network runs.
        configure_error: why the last configure failed, "" if it did not.
        publishers: publishers on the input topic.
        input_timeout: seconds without a cloud that are an error.
        silence: seconds since the last cloud, or since activation before the first.
        clouds: whether a cloud has come since activation.
        clock_missing: use_sim_time is set and no time has come.
        counts: clouds by outcome since activation.
        stages: seconds per stage of the last published cloud.
        latency: seconds from reception to publication of that cloud.
        last_problem: code and message of the last cloud that was not published, with its age in seconds.
        failures: failed computations in a row.
        pause_left: seconds until the next attempt after such failures.
        lost: clouds lost between publisher and node.
        qos_events: incompatible partners met so far, one sentence each.
    """

    state: str = "unconfigured"
    topic: str = ""
    checkpoint: str = ""
    trained: bool = False
    device: str = ""
    configure_error: str = ""
    publishers: int = 0
    input_timeout: float = 5.0
    silence: float = 0.0
    clouds: bool = False
    clock_missing: bool = False
    counts: Sequence[int] = (0,) * len(Outcome)
    stages: dict[str, float] = field(default_factory=dict)
    latency: float | None = None
    last_problem: tuple[str, str, float] | None = None
    failures: int = 0
    pause_left: float = 0.0
    lost: int = 0
    qos_events: Sequence[str] = ()


def assess(health: Health) -> list[Condition]:
    """The conditions "model", "input", "inference" and "connections", in this order."""
    return [_model(health), _input(health), _inference(health), _connections(health)]


def _model(health: Health) -> Condition:
    values = {"state": health.state, "checkpoint": health.checkpoint or "none", "device": health.device or "none"}
    if health.configure_error:
        return Condition("model", Level.ERROR, f"Configure failed: {health.configure_error}", values)
    if health.state == "unconfigured":
        return Condition("model", Level.WARN, "Not configured", values)
    if not health.trained:
        return Condition("model", Level.WARN, "The weights are random and were never trained", values)
    return Condition("model", Level.OK, f"{health.checkpoint} on {health.device}", values)


def _input(health: Health) -> Condition:
    values = {
        "topic": health.topic, "publishers": str(health.publishers), "clouds received": str(sum(health.counts)),
        "seconds without a cloud": f"{health.silence:.1f}", "clouds lost on the way": str(health.lost),
    }
    partners = f"{health.publishers} publisher{'' if health.publishers == 1 else 's'}"
    if health.state != "active":
        return Condition("input", Level.OK, f"Not listening to {health.topic}: the node is {health.state}", values)
    if health.clock_missing:
        message = "use_sim_time is set and no time was received on /clock"
        return Condition("input", Level.ERROR, message, values)
    if health.silence > health.input_timeout:
        message = f"No cloud on {health.topic} for {health.silence:.1f} s; {partners}"
        return Condition("input", Level.ERROR, message + _first(health.qos_events), values)
    if not health.clouds:
        message = f"Waiting for the first cloud on {health.topic}; {partners}"
        return Condition("input", Level.WARN, message + _first(health.qos_events), values)
    if health.publishers > 1:
        message = f"Expected one publisher on {health.topic}, got {health.publishers}: their clouds are mixed"
        return Condition("input", Level.WARN, message, values)
    return Condition("input", Level.OK, f"Receiving {health.topic}", values)


def _inference(health: Health) -> Condition:
    values = {outcome.name.lower(): str(count) for outcome, count in zip(Outcome, health.counts, strict=True)}
    values |= {f"{name} [ms]": f"{1e3 * seconds:.1f}" for name, seconds in health.stages.items()}
    if health.latency is not None:
        values["latency [ms]"] = f"{1e3 * health.latency:.1f}"
    problem = health.last_problem
    if problem is not None:
        values["last problem"] = f"{problem[0]}, {problem[2]:.1f} s ago: {problem[1]}"
    if health.state != "active":
        return Condition("inference", Level.OK, f"Not computing: the node is {health.state}", values)
    if health.pause_left > 0:
        message = f"{health.failures} computations failed in a row; next attempt in {health.pause_left:.1f} s"
        return Condition("inference", Level.ERROR, message, values)
    if health.failures > 0:
        message = f"{health.failures} computations failed in a row: {problem[1] if problem else ''}"
        return Condition("inference", Level.WARN, message, values)
    if problem is not None and problem[2] < health.input_timeout:
        return Condition("inference", Level.WARN, f"{problem[0]}: {problem[1]}", values)
    published = health.counts[Outcome.PUBLISHED]
    if published == 0:
        return Condition("inference", Level.OK, "Waiting for the first result", values)
    return Condition("inference", Level.OK, f"{published} of {sum(health.counts)} clouds published", values)


def _connections(health: Health) -> Condition:
    values = {f"incompatible QoS {number}": event for number, event in enumerate(health.qos_events, 1)}
    if health.qos_events:
        return Condition("connections", Level.WARN, health.qos_events[-1], values)
    return Condition("connections", Level.OK, "No publisher or subscriber with an incompatible QoS", values)


def _first(events: Sequence[str]) -> str:
    return f"; {events[-1]}" if events else ""
