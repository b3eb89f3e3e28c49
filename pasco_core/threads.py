"""How the processor's threads wait for each other; imports nothing heavy."""

from __future__ import annotations

import os


def wait_passively() -> None:
    """Lets OpenMP's threads sleep at barriers; call it before torch is first imported, and an own setting stays.

    By default they spin. On cores that other processes use as well (a driver, a recorder, RViz) a spinning thread takes
    the time slice that the thread it waits for needs: inference was seen 3 to 6 times slower beside one busy process.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
