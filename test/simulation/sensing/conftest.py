"""Makes the stand-in world and the comparison with real scans importable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
