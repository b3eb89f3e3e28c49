"""Clouds of a few points, as objects with the attributes of sensor_msgs/PointCloud2."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

SECOND = 1_000_000_000
START = 1000 * SECOND
POINT = np.array([[10.0, 0, -1, 0.5]])
LEFT = (0.0, 2.0, 1.73, 0.0, 0.0, np.pi / 2)
TWO = {"partner_topics": ("/left",), "partner_poses": LEFT}


def header(time=START, frame="lidar"):
    sec, nanosec = divmod(time, SECOND)
    return SimpleNamespace(frame_id=frame, stamp=SimpleNamespace(sec=sec, nanosec=nanosec))


def cloud(points, time=START, frame="lidar", times=None):
    names = ["x", "y", "z", "intensity"] + (["time"] if times is not None else [])
    data = np.column_stack([points, times] if times is not None else [points]).astype("<f4")
    fields = [SimpleNamespace(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(names)]
    return SimpleNamespace(header=header(time, frame), height=1, width=len(data), fields=fields, is_bigendian=False,
                           is_dense=True, point_step=4 * len(names), row_step=0, data=data.tobytes())
