"""Simulated drives as files in the official layouts of the datasets."""

from pasco_core.data.simulation.writers.sequence import LAYOUTS, MAX_FRAMES, Sequence, write_frame

__all__ = ["LAYOUTS", "MAX_FRAMES", "Sequence", "write_frame"]
