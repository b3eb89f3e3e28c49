"""How the processor's threads wait for each other; imports nothing heavy."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

# About 10 µs: long enough for the next small operation to find the threads awake.
SPIN_COUNT = "500"


def wait_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Lets OpenMP's threads spin shortly at barriers and then sleep; a setting that is there already stays.

    It works when called before torch is first imported. By default the threads spin for milliseconds: on cores that
    other processes use as well (a driver, a recorder, RViz) a spinning thread takes the time slice that the thread it
    waits for needs. Measured on 2 cores, seconds per scan of the small network: alone 1.4 by default, 1.5 so, 2.3 when
    threads sleep at once; beside one busy process 4.5 to 17 by default, 3.2 so, 2.7 when they sleep at once.

    The count alone holds only while there are no more threads than cores. Every thread of Python that calls torch has
    threads of OpenMP beside it, so that a node, which loads its network in one thread and computes in another, has too
    many; GNU's OpenMP then spins a fifth as long, and a scan took 1.6 s there instead of 1.0. The policy "active" lifts
    that fifth to the count.
    """
    if "OMP_WAIT_POLICY" not in environment and "GOMP_SPINCOUNT" not in environment:
        environment |= {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": SPIN_COUNT}
