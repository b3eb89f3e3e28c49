"""What /diagnostics says about the node: plain rules over a snapshot, without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from pasco_core.geometry.transform_buffer import LOOKUP_REASONS
from pasco_core.settings.deadline_settings import LEVELS
from pasco_core.stream.outcomes import Outcome


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
class TransformCounts:
    """What has come on /tf and /tf_static.

    Args:
        received: transforms, the refused ones included.
        refused: transforms that could not be taken in.
        problem: why the last of those was refused, or which frame has changed its parent.
        problem_time: monotonic time in seconds of that.
        newest: newest stamp in ns, 0 before the first that has a time.
        kept_by: what keeps them, in words.
    """

    received: int = 0
    refused: int = 0
    problem: str = ""
    problem_time: float = float("-inf")
    newest: int = 0
    kept_by: str = ""


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
        total: clouds by outcome since the node was started.
        effort: level of effort the next cloud is computed with, "" before configure.
        effort_reason: why it is that level, "" where it never changed.
        shortfall: that deadlines are missed at this level all the same, "" if they are not.
        busy: seconds since the present computation began, 0 between computations.
        stages: seconds per stage of the last published cloud.
        latency: seconds from reception to publication of that cloud.
        last_problem: code and message of the last cloud that was not published, with its age in seconds.
        failures: failed computations in a row.
        pause_left: seconds until the next attempt after such failures.
        lost: clouds lost between publisher and node.
        qos_events: incompatible partners met so far, one sentence each.
        now: the node's clock in ns.
        clock_jumps: jumps of the node's clock or of the clouds' stamps.
        last_jump: the last of them in a sentence, and how many seconds ago it was.
        base_frame: the frame in which /tf tells where the sensor is, "" where it is not read.
        transforms: what has come on /tf, None while it is not listened to.
        transform_problem_age: seconds since the last problem with one of them.
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
    total: Sequence[int] = (0,) * len(Outcome)
    effort: str = ""
    effort_reason: str = ""
    shortfall: str = ""
    busy: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)
    latency: float | None = None
    last_problem: tuple[str, str, float] | None = None
    failures: int = 0
    pause_left: float = 0.0
    lost: int = 0
    qos_events: Sequence[str] = ()
    now: int = 0
    clock_jumps: int = 0
    last_jump: tuple[str, float] = ("", float("inf"))
    base_frame: str = ""
    transforms: TransformCounts | None = None
    transform_problem_age: float = float("inf")


def assess(health: Health) -> list[Condition]:
    """The conditions "model", "input", "inference", "effort", "frames" and "connections", in this order."""
    return [
        _model(health), _input(health), _inference(health), _effort(health), _frames(health), _connections(health)
    ]


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
    since_start = [f"{n} {outcome.name.lower()}" for outcome, n in zip(Outcome, health.total, strict=True) if n]
    values["since the node's start"] = ", ".join(since_start) or "no cloud"
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
    if health.busy > health.input_timeout:
        message = f"The present computation has been running for {health.busy:.1f} s"
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


def _effort(health: Health) -> Condition:
    values = {"level": health.effort or "none"}
    if health.state == "active" and health.shortfall:
        return Condition("effort", Level.ERROR, f"{health.effort}: {health.shortfall}", values)
    if health.state != "active" or health.effort in ("", LEVELS[0]):
        return Condition("effort", Level.OK, health.effort or "No model", values)
    return Condition("effort", Level.WARN, f"{health.effort}: {health.effort_reason}", values)


def _frames(health: Health) -> Condition:
    values = {
        "base_frame": health.base_frame or "none", "clock jumps": str(health.clock_jumps),
        "clouds without a transform": str(health.counts[Outcome.TF_UNAVAILABLE]),
    }
    sentence, ago = health.last_jump
    problems = [sentence] if ago < health.input_timeout else []
    known = health.transforms
    usual = f"Not listening to /tf: the node is {health.state}"
    if not health.base_frame:
        usual = "No /tf is read: sensor_pose says where the sensor is"
    elif known is not None:
        usual = f"{known.received} transforms received"
        values |= _transform_values(known, health)
        problems += _transform_problems(known, health)
    if problems:
        return Condition("frames", Level.WARN, "; ".join(problems), values)
    return Condition("frames", Level.OK, usual, values)


def _transform_values(known: TransformCounts, health: Health) -> dict[str, str]:
    values = {
        "transforms received": str(known.received), "transforms refused": str(known.refused),
        "transforms kept by": known.kept_by,
    }
    if known.newest:
        values["age of the newest transform [s]"] = f"{(health.now - known.newest) / 1e9:.3f}"
    if known.problem:
        values["last problem"] = f"{health.transform_problem_age:.1f} s ago: {known.problem}"
    return values


def _transform_problems(known: TransformCounts, health: Health) -> list[str]:
    if known.received == 0:
        return [f"No transform on /tf or /tf_static; a way to base_frame {health.base_frame!r} is needed"]
    problems = [known.problem] if health.transform_problem_age < health.input_timeout else []
    unavailable = health.last_problem
    if unavailable is not None and unavailable[0] in LOOKUP_REASONS and unavailable[2] < health.input_timeout:
        problems.append(f"{unavailable[0]}: {unavailable[1]}")
    return problems


def _connections(health: Health) -> Condition:
    values = {f"incompatible QoS {number}": event for number, event in enumerate(health.qos_events, 1)}
    if health.qos_events:
        return Condition("connections", Level.WARN, health.qos_events[-1], values)
    return Condition("connections", Level.OK, "No publisher or subscriber with an incompatible QoS", values)


def _first(events: Sequence[str]) -> str:
    return f"; {events[-1]}" if events else ""
