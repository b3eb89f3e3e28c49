"""Simulated drives as files in the official layouts of the datasets."""

from pasco_core.data.simulation.writers.sequence import LAYOUTS, Chunk, Sequence, write_chunk

__all__ = ["LAYOUTS", "Chunk", "Sequence", "write_chunk"]
