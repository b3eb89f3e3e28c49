"""Makes the stand-in importable, here and in the processes that tests start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).resolve().parent)
sys.path.insert(0, HERE)
os.environ["PYTHONPATH"] = os.pathsep.join([HERE, str(Path(HERE).parents[1]), os.environ.get("PYTHONPATH", "")])

pytest.importorskip("rosbags", reason="the packages for bags are not installed: pip install 'pasco-ros[bag]'")
