"""The demo's child processes: started with a clean environment, watched, and ended whatever happens."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pasco_core.errors import PascoError
from pasco_ros.shared_files import fastdds_environment, shared_file

# Settings of the surrounding shell that would lead the demo's processes elsewhere. The first one is left behind by the
# ROS wheels of any environment a parent process belongs to; with it set, the wheels of this one do not find their
# libraries.
_UNWANTED = (
    "_ROS_WHEELS_BOOTSTRAP_COMPLETE", "ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS", "ROS_DISCOVERY_SERVER",
    "ROS_SECURITY_ENABLE", "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTDDS_BUILTIN_TRANSPORTS",
)
_PR_SET_PDEATHSIG = 1


class ChildEnded(PascoError):
    """A process of the demo ended or failed when it should not have."""


def graph_environment(domain: int, logs: Path) -> dict[str, str]:
    """The environment of every process of the demo: a DDS domain of its own, on this machine only, our profile.

    Args:
        domain: DDS domain.
        logs: folder for the logs of ROS where no variable leads it to one of the user's.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
    environment |= fastdds_environment(shared_file("config/fastdds_profile.xml"), environment)
    environment |= {
        "ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp", "PYTHONUNBUFFERED": "1",
    }
    if not any(environment.get(name) for name in ("HOME", "ROS_HOME", "ROS_LOG_DIR")):
        environment["ROS_LOG_DIR"] = str(logs.resolve())
    packages = str(Path(__file__).parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(p for p in (packages, environment.get("PYTHONPATH")) if p)
    return environment


class Child:
    """One process. What it prints goes to a log file, except the events it emits, which are kept.

    Args:
        name: for messages.
        command: program and arguments.
        environment: of the process.
        log: file for its output.
    """

    def __init__(self, name: str, command: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._seen: dict[str, dict[str, Any]] = {}
        self._expected_to_run = True
        log.parent.mkdir(parents=True, exist_ok=True)
        # A session of its own: a terminal's Ctrl-C reaches the demo only, which ends its processes in order.
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", start_new_session=True, preexec_fn=_die_with_parent,
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def seen(self, event: str) -> dict[str, Any] | None:
        """The last event of that name, or None."""
        return self._seen.get(event)

    def send(self, line: str) -> None:
        """Write a line to the process's stdin."""
        if self._process.stdin is not None:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()

    def check(self) -> None:
        """Raise if the process failed.

        Raises:
            ChildEnded: with its reason, or its exit code and last lines.
        """
        failed = self.seen("failed")
        if failed is not None:
            raise ChildEnded(f"The {self.name} failed. {failed['reason']}")
        code = self._process.poll()
        if self._expected_to_run and code is not None:
            self._reader.join(2)
            raise ChildEnded(f"The {self.name} ended unexpectedly ({_ending(code)}). {self._last_words()}")

    def stop(self, timeout: float = 10.0) -> int:
        """Ask the process to end, insist after ``timeout`` seconds; returns its exit code."""
        self._expected_to_run = False
        self._close_stdin()
        for number, patience in ((signal.SIGINT, timeout), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
            if self._process.poll() is not None:
                break
            self._signal(number)
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
        self._reader.join(3)
        return self._process.wait(3)

    def _signal(self, number: int) -> None:
        if number == signal.SIGKILL:
            self._end_group()
        else:
            self._process.send_signal(number)

    def _end_group(self) -> None:
        """Kill the process, which has not ended by itself, with what it has started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _close_stdin(self) -> None:
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
        except OSError:
            return

    def _read(self) -> None:
        with self.log.open("w", encoding="utf-8") as log:
            for line in self._process.stdout or ():
                event = _event_of(line)
                if event is None:
                    log.write(line)
                    log.flush()
                else:
                    self._seen[event["event"]] = event

    def _last_words(self) -> str:
        lines = [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        said = "\n".join(f"    {line}" for line in lines[-6:])
        return f"Its last lines, of {self.log}:\n{said}" if said else f"It said nothing ({self.log})."


class ChildGroup:
    """Starts children and ends all of them at the end of a ``with`` block, in reverse order.

    Args:
        environment: of every child.
        logs: folder for their output.
    """

    def __init__(self, environment: dict[str, str], logs: Path) -> None:
        self._environment = environment
        self._logs = logs
        self.children: list[Child] = []

    def start(self, name: str, command: Sequence[str]) -> Child:
        """Start a process; a Python module where the command begins with ``-m``."""
        full = [sys.executable, *command] if command[0] == "-m" else list(command)
        self.children.append(Child(name, full, self._environment, self._logs / f"{name}.log"))
        return self.children[-1]

    def check(self) -> None:
        """Raise if any child failed.

        Raises:
            ChildEnded: as ``Child.check``.
        """
        for child in self.children:
            child.check()

    def __enter__(self) -> ChildGroup:
        return self

    def __exit__(self, *exception: object) -> None:
        # A second Ctrl-C must not leave processes behind; each one is given a bounded time.
        previous = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for child in reversed(self.children):
                child.stop(timeout=6.0)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def wait_until(condition: Any, group: ChildGroup, timeout: float, what: str, tick: Any = None) -> None:
    """Wait for ``condition()``, watching the children.

    Args:
        condition: what is waited for.
        group: children that must go on running.
        timeout: seconds.
        what: completes "Expected ...".
        tick: called at every look, for progress.

    Raises:
        ChildEnded: a child failed meanwhile, or the time is over.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        group.check()
        if time.monotonic() > deadline:
            logs = group.children[0].log.parent if group.children else "the logs"
            raise ChildEnded(f"Expected {what} within {timeout:.0f} s, got nothing; see {logs}")
        if tick is not None:
            tick()
        time.sleep(0.05)


def _event_of(line: str) -> dict[str, Any] | None:
    if not line.startswith('{"event"'):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def _die_with_parent() -> None:
    """In the child, before its program: if the demo is killed outright, Linux interrupts its processes too."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
