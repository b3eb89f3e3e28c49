"""``python -m training`` is ``pasco train``."""

from __future__ import annotations

import sys

from pasco_core.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
