"""PaSCo: panoptic scene completion with uncertainty from one LiDAR scan (CVPR 2024)."""

from pasco_core.systems.pasco.config import PaSCoConfig
from pasco_core.systems.pasco.network import PaSCo, PaSCoOutput, load_network
from pasco_core.systems.pasco.predictor import Predictor

__all__ = ["PaSCo", "PaSCoConfig", "PaSCoOutput", "Predictor", "load_network"]
