"""A ray-cast street: LiDAR scans without a download."""

from pasco_core.data.simulation.scan import FRAME_RATE, LabelledScan, labelled_street_scan, street_scan
from pasco_core.data.simulation.sensor import HDL_64E, SpinningLidar

__all__ = ["FRAME_RATE", "HDL_64E", "LabelledScan", "SpinningLidar", "labelled_street_scan", "street_scan"]
