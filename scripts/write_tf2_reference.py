"""Writes what the real tf2 answers about a recorded tree of frames, with which tests compare the own buffer.

``python scripts/write_tf2_reference.py`` where tf2_ros is installed; it writes test/geometry/tf2_reference.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

REFERENCE = Path(__file__).resolve().parent.parent / "test" / "geometry" / "tf2_reference.json"
NANO = 1_000_000_000

# child: parent, seconds between samples (0: static), first and last second. Two trees; one frame has a single sample.
_FRAMES = {
    "odom": ("map", 0.9, 0.4, 5.0), "base": ("odom", 0.1, 1.0, 5.0), "lidar": ("base", 0.0, 0.0, 0.0),
    "mast": ("base", 0.0, 2.0, 2.0), "camera": ("mast", 0.23, 1.4, 4.2), "gate": ("odom", 9.0, 3.0, 3.5),
    "wheel": ("axle", 0.3, 1.0, 4.0), "rim": ("wheel", 0.0, 0.0, 0.0),
}
_SHARE_OUT_OF_ORDER = 0.15


def main() -> int:
    """Write the reference; returns 1 where tf2_ros is not installed."""
    try:
        import tf2_ros  # noqa: F401
    except ImportError as error:
        sys.stderr.write(f"Expected tf2_ros to be installed, got {error}\n")
        return 1
    samples = recording(7)
    lines = {"samples": samples, "lookups": answers(samples, questions(samples, 7, 240))}
    rows = ",\n".join(
        f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in part) + "\n]" for name, part in lines.items()
    )
    REFERENCE.write_text("{\n" + rows + "\n}\n", encoding="utf-8")
    return 0


def recording(seed: int) -> list[list[Any]]:
    """Samples of a tree in the order in which they come: parent, child, static, time [ns], x y z, x y z w."""
    random, samples = np.random.default_rng(seed), []
    for child, (parent, step, first, last) in _FRAMES.items():
        times = np.arange(first, last, step) if step else np.array([first])
        times = times + random.uniform(0, 0.3 * min(step, 1.0), len(times))
        moves = random.normal(0, 3, 3) + np.cumsum(random.normal(0, 1, (len(times), 3)), 0)
        turns = np.cumsum(random.normal(0, 0.4, (len(times), 4)), 0) + random.normal(0, 1, 4)
        turns = np.float32(turns / np.linalg.norm(turns, axis=1, keepdims=True))  # rounded, as many senders round
        turns = turns * random.choice([-1, 1], (len(times), 1))
        for time, move, turn in zip(times, moves, turns, strict=True):
            nanoseconds = round(float(time) * NANO)
            arrival = time + (0.5 * random.random() if random.random() < _SHARE_OUT_OF_ORDER else 0)
            samples.append((arrival, [parent, child, not step, nanoseconds, *move.tolist(), *turn.tolist()]))
    return [sample for _, sample in sorted(samples, key=lambda each: each[0])]


def questions(samples: list[list[Any]], seed: int, count: int) -> list[tuple[str, str, int]]:
    """Target, source and time [ns] of lookups: any two frames and one that does not exist, some at exact stamps."""
    random = np.random.default_rng(seed)
    frames = sorted({name for sample in samples for name in sample[:2]})
    asked = []
    for _ in range(count):
        target, source = random.choice(frames, 2, replace=False).tolist()
        spans = [(0.2, 5.5), (2.0, 4.0), (2.0, 4.0), None]
        span = spans[random.integers(len(spans))]
        at = random.choice([s[3] for s in samples]) if span is None else random.uniform(*span) * NANO
        asked.append((target, source, max(int(at), 1)))
    return [*asked, ("base", "laser", 3 * NANO), ("laser", "base", 3 * NANO)]


def answers(samples: list[list[Any]], asked: list[tuple[str, str, int]]) -> list[list[Any]]:
    """Each question with tf2's answer: x y z, x y z w, or the name of its exception; and the newest common time."""
    import tf2_ros
    from rclpy.time import Time

    buffer = filled(samples)
    rows = []
    for target, source, time in asked:
        try:
            found = buffer.lookup_transform_core(target, source, Time(nanoseconds=time)).transform
            move, turn = found.translation, found.rotation
            answer: Any = [move.x, move.y, move.z, turn.x, turn.y, turn.z, turn.w]
        except tf2_ros.TransformException as error:
            answer = type(error).__name__
        try:
            newest = buffer.get_latest_common_time(target, source).nanoseconds
        except tf2_ros.TransformException:
            newest = None
        rows.append([target, source, time, answer, newest])
    return rows


def filled(samples: list[list[Any]]) -> Any:
    """A ``tf2_ros.Buffer`` that has received the samples."""
    import tf2_ros
    from geometry_msgs.msg import TransformStamped
    from rclpy.duration import Duration

    buffer = tf2_ros.Buffer(Duration(seconds=10))
    for parent, child, static, time, *numbers in samples:
        message = TransformStamped(child_frame_id=child)
        message.header.frame_id = parent
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(time, NANO)
        move, turn = message.transform.translation, message.transform.rotation
        move.x, move.y, move.z, turn.x, turn.y, turn.z, turn.w = numbers
        (buffer.set_transform_static if static else buffer.set_transform)(message, "recording")
    return buffer


if __name__ == "__main__":
    raise SystemExit(main())
