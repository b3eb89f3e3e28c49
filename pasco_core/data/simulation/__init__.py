"""A simulated town with a car that scans it: LiDAR scans, voxel truth and images without a download."""

from pasco_core.data.simulation.drive import FRAME_RATE, SimulatedDrive, labelled_street_scan, street_scan
from pasco_core.data.simulation.sensing.beam_tables import HDL_64E, SpinningLidar
from pasco_core.data.simulation.sensing.lidar import LabelledScan

__all__ = [
    "FRAME_RATE", "HDL_64E", "LabelledScan", "SimulatedDrive", "SpinningLidar", "labelled_street_scan", "street_scan"
]
