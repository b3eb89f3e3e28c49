"""A procedural town made of triangles: streets, houses, plants, people and traffic."""

from pasco_core.data.simulation.town.town import Town

__all__ = ["Town"]
