"""Lets the tests of this folder import the golden weights beside them; a small network that several of them read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def two_subnets():
    """Untrained, of two subnets; nobody changes it."""
    from pasco_core.systems.pasco import PaSCoConfig
    from pasco_core.systems.pasco.untrained import untrained_network

    size = {"width": 8, "query_channels": 48, "ffn_channels": 32, "n_queries": 20, "point_channels": (16, 16, 16)}
    return untrained_network(PaSCoConfig(n_subnets=2, **size))
