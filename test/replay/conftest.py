"""Makes the stand-in and the messages of the bag tests importable, here and in the processes that tests start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
FOLDERS = [str(HERE), str(HERE.parent / "bags")]
sys.path[:0] = FOLDERS
os.environ["PYTHONPATH"] = os.pathsep.join([*FOLDERS, str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])

pytest.importorskip("rosbags", reason="the packages for bags are not installed: pip install 'pasco-ros[bag]'")
