"""How the demo's processes talk to the one that started them: one JSON object per line of stdout."""

from __future__ import annotations

import json
import signal
import sys
import threading
from typing import Any


def emit(event: str, **values: Any) -> None:
    """Tell the starting process about an event."""
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def stop_on_signals() -> threading.Event:
    """An event that SIGINT and SIGTERM set, so that a process ends where it is safe to end."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    return stopping
