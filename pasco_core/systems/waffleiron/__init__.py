"""WaffleIron: per-point class probabilities and embeddings, which the SemanticKITTI variant of PaSCo reads."""

from pasco_core.systems.waffleiron.config import WaffleIronConfig
from pasco_core.systems.waffleiron.network import NetworkInput, NetworkOutput, WaffleIron
from pasco_core.systems.waffleiron.preprocess import PreparedCloud, prepare
from pasco_core.systems.waffleiron.votes import Augmentation, draw_augmentation
from pasco_core.systems.waffleiron.weights import expected_shapes, load_network

__all__ = [
    "Augmentation",
    "NetworkInput",
    "NetworkOutput",
    "PreparedCloud",
    "WaffleIron",
    "WaffleIronConfig",
    "draw_augmentation",
    "expected_shapes",
    "load_network",
    "prepare",
]
