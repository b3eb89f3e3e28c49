"""Readers, label sets and the simulator."""
