"""What /diagnostics says about the sensors: plain rules over a snapshot, without ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pasco_core.data.scan_statistics import TRAINING_SENSORS, ScanStatistics, differences
from pasco_ros.reporting.health import Condition, Level


@dataclass(frozen=True)
class PartnerHealth:
    """One further LiDAR.

    Args:
        topic: resolved.
        silence: seconds since its last cloud, or since the activation before its first.
        missed: frames that went on without it.
        late: its clouds that came after their frame.
        absent: whether the last frame lacked it.
    """

    topic: str
    silence: float
    missed: int
    late: int
    absent: bool


@dataclass(frozen=True)
class CameraHealth:
    """One camera.

    Args:
        topic: of its images, resolved.
        used: images that were used.
        problem: why it is off or behind, "" where it is not.
    """

    topic: str
    used: int
    problem: str


@dataclass(frozen=True)
class SensorHealth:
    """What the node knows about its sensors while it is active.

    Args:
        training_sensor: what the input is compared with, "none" for nothing.
        statistics: of a recent cloud of the primary LiDAR.
        motion: in words, where the movement for de-skewing comes from; "" where nothing is de-skewed.
        not_deskewed: why the last frame was not de-skewed, "" where it was.
        partners: the further LiDARs.
        cameras: the cameras.
    """

    training_sensor: str = "none"
    statistics: ScanStatistics | None = None
    motion: str = ""
    not_deskewed: str = ""
    partners: Sequence[PartnerHealth] = ()
    cameras: Sequence[CameraHealth] = ()


def assess_sensors(health: SensorHealth) -> list[Condition]:
    """The condition "sensor"; also "merging", "deskew" and "cameras" where there is something to say about them."""
    conditions = [_sensor(health)]
    if health.partners:
        conditions.append(_merging(health))
    if health.motion:
        conditions.append(_deskew(health))
    if health.cameras:
        conditions.append(_cameras(health))
    return conditions


def _sensor(health: SensorHealth) -> Condition:
    if health.training_sensor == "none":
        return Condition("sensor", Level.OK, "Compared with no training sensor")
    if health.statistics is None:
        return Condition("sensor", Level.OK, "No cloud was measured")
    values = health.statistics.values()
    training = TRAINING_SENSORS[health.training_sensor]
    values |= {f"{name} of {health.training_sensor}": value for name, value in training.values().items()}
    found = differences(health.statistics, training)
    if found:
        message = f"Far from {health.training_sensor}, with which the network was trained: {', '.join(found)}"
        return Condition("sensor", Level.WARN, message, values)
    return Condition("sensor", Level.OK, f"Like {health.training_sensor}, with which the network was trained", values)


def _merging(health: SensorHealth) -> Condition:
    values = {}
    for partner in health.partners:
        values[partner.topic] = (
            f"{partner.missed} frames without it, {partner.late} clouds late, last {partner.silence:.1f} s ago"
        )
    absent = [partner.topic for partner in health.partners if partner.absent]
    if absent:
        return Condition("merging", Level.WARN, f"DEGRADED: the last frame lacked {', '.join(absent)}", values)
    return Condition("merging", Level.OK, f"Joined with {', '.join(p.topic for p in health.partners)}", values)


def _deskew(health: SensorHealth) -> Condition:
    values = {"movement": health.motion}
    if health.not_deskewed:
        return Condition("deskew", Level.WARN, f"DEGRADED: not de-skewed. {health.not_deskewed}", values)
    return Condition("deskew", Level.OK, f"De-skewed by {health.motion.split(':')[0]}", values)


def _cameras(health: SensorHealth) -> Condition:
    values = {camera.topic: f"{camera.used} images used" for camera in health.cameras}
    problems = [camera.problem for camera in health.cameras if camera.problem]
    if problems:
        return Condition("cameras", Level.WARN, f"DEGRADED: {'; '.join(problems)}", values)
    return Condition("cameras", Level.OK, f"{len(health.cameras)} in use", values)
