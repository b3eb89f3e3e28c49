"""Blocks shared by several systems."""
