"""Lets the test modules of this folder import the helpers beside them; skips where Lightning is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

pytest.importorskip("lightning", reason="Lightning is not installed: pip install 'pasco-ros[train]'")


@pytest.fixture(autouse=True)
def one_thread():
    """Rounding depends on the number of threads, and with it every later step; tiny tensors are no faster with two."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
