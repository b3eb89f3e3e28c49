"""LiDAR scans under bad weather, disturbances and sensor faults, in the manner of Robo3D (Kong et al. 2023)."""

from pasco_core.data.simulation.corruptions.corrupted import ADDED, Corrupted
from pasco_core.data.simulation.corruptions.levels import LEVELS, PARAMETERS
from pasco_core.data.simulation.corruptions.registry import CORRUPTIONS, corrupt

__all__ = ["ADDED", "CORRUPTIONS", "LEVELS", "PARAMETERS", "Corrupted", "corrupt"]
