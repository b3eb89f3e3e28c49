"""Outcomes, diagnostics and the log: how the node tells what it does."""
