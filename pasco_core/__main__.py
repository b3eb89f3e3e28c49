"""``python -m pasco_core`` is the ``pasco`` command."""

import sys

from pasco_core.cli import main

sys.exit(main())
