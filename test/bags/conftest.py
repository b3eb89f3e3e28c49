"""Makes the helpers of these tests and the small datasets of the dataset tests importable; skips without rosbags."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "datasets")]
pytest.importorskip("rosbags", reason="rosbags is not installed: run `make setup`")
