"""The weights that come with the package: a small network trained on the simulated town alone (docs/model_card.md)."""

from __future__ import annotations

from pathlib import Path

CHECKPOINT = Path(__file__).resolve().parent / "small.safetensors"
"""What every command and the node use where no other weights are named."""
