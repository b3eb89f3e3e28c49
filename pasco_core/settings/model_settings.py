"""The network: its weights, where it runs, and what happens when it fails."""

from __future__ import annotations

from dataclasses import dataclass

from pasco_core.settings.setting import SettingsGroup, setting


@dataclass(frozen=True)
class ModelSettings(SettingsGroup):
    """The network: its weights, where it runs, and what happens when it fails."""

    checkpoint: str = setting(
        "", "Weights, a .safetensors file made by `pasco convert` or training. Empty: the small network that "
        "comes with the package, trained on simulated scans alone.", fixed=True)
    features_checkpoint: str = setting(
        "", "Weights of the point features, for a checkpoint that reads them (SemanticKITTI's); a .safetensors file.",
        fixed=True)
    device: str = setting(
        "auto", "Where the network runs: cpu, cuda, cuda:N, or auto (CUDA where there is one, else the CPU). A named "
        "device that is not there lets configure fail.", fixed=True)
    num_threads: int = setting(
        0, "CPU threads of the computation; 0 leaves PyTorch's own choice.", low=0, high=256, fixed=True)
    warm_up: bool = setting(
        True, "Compute one synthetic scan while configuring, so that the first real one is not slow.", fixed=True,
        node_only="a replay waits for its network")
    max_failures: int = setting(
        3, "After this many failed computations in a row the node pauses, up to 30 s, before the next attempt.",
        low=1, high=1000, fixed=True, node_only="a replay tries every cloud")
