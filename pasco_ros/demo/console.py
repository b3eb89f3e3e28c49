"""The demo's terminal: sentences, one line of progress that is written over, and a table."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

from pasco_core.cli.text import table

_WIDTH = 100
_PLAIN_PERIOD = 5.0  # seconds between progress lines where nothing can be written over


class Console:
    """Writes to a stream, by default stdout."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._started = time.monotonic()
        self._overwrites = self._stream.isatty()
        self._open_line = False
        self._last_plain = float("-inf")

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def say(self, text: str = "") -> None:
        """Write a line that stays."""
        self.close_line()
        self._stream.write(text + "\n")
        self._stream.flush()

    def close_line(self) -> None:
        """End a line of progress, so that what another stream writes begins a new one."""
        if self._open_line:
            self._stream.write("\n")
            self._stream.flush()
            self._open_line = False

    def progress(self, text: str) -> None:
        """Show a state that changes."""
        line = f"[{self.elapsed:5.1f} s] {text}"
        if self._overwrites:
            self._stream.write("\r" + line[:_WIDTH].ljust(_WIDTH))
            self._stream.flush()
            self._open_line = True
        elif time.monotonic() - self._last_plain >= _PLAIN_PERIOD:
            self._last_plain = time.monotonic()
            self.say(line)

    def show(self, summary: dict[str, Any]) -> None:
        """The tables of a run."""
        clouds = summary["clouds"]
        rows = [["asked for", clouds["asked for"]], ["sent by the player", clouds["sent"]],
                ["received by the node", clouds["received"]], ["lost on the way", clouds["lost on the way"]],
                ["published", clouds["published"]]]
        rows += [[reason, n] for reason, n in sorted(clouds["not published, by reason"].items())]
        self.say()
        self.say(table(["clouds", "number"], rows))
        self.say()
        latencies = [[name, v["median"], v["p95"]] for name, v in summary["latency_ms"].items()]
        self.say(table(["stage", "median [ms]", "p95 [ms]"], latencies))
        self.say()
        self.say(table(["check", "passed"], [[name, ok] for name, ok in summary["checks"].items()]))
