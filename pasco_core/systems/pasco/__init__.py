"""PaSCo: panoptic scene completion with uncertainty from one LiDAR scan (CVPR 2024)."""

from pasco_core.systems.pasco.config import PaSCoConfig
from pasco_core.systems.pasco.network import PaSCo, PaSCoOutput
from pasco_core.systems.pasco.predictor import Predictor
from pasco_core.systems.pasco.weights import load_network

__all__ = ["PaSCo", "PaSCoConfig", "PaSCoOutput", "Predictor", "load_network"]
