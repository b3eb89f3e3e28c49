"""Brings the demo's node up through its lifecycle services, follows its status messages, and winds it down."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import rclpy
from pasco.msg import FrameStatus
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from pasco_core.errors import PascoError
from pasco_core.stream.outcomes import Outcome
from pasco_ros import qos
from pasco_ros.demo.console import Console
from pasco_ros.demo.lifecycle_client import LifecycleClient
from pasco_ros.demo.processes import Child, ChildEnded, ChildGroup, wait_until
from pasco_ros.demo.spin_thread import SpinThread
from pasco_ros.demo.topics import NODE, STATUS


class Conductor:
    """Drives the node through its lifecycle and watches its status messages.

    Args:
        group: the processes.
        console: for progress.
    """

    def __init__(self, group: ChildGroup, console: Console) -> None:
        self._group = group
        self._console = console
        self._last: FrameStatus | None = None

    def __enter__(self) -> Conductor:
        # Signals belong to the demo, whose processes must be ended in order.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node("demo")
        self._lifecycle = LifecycleClient(self._node, NODE)
        self._node.create_subscription(FrameStatus, STATUS, self._remember, qos.STATUS)
        self._spin = SpinThread(self._node)
        self._calls = ThreadPoolExecutor(1)
        return self

    def __exit__(self, *exception: object) -> None:
        # The calling thread uses the node: it has to end before the node is destroyed, and the program waits for it.
        self._lifecycle.give_up()
        self._calls.shutdown(wait=True, cancel_futures=True)
        self._spin.stop()
        self._node.destroy_node()
        rclpy.try_shutdown()

    def bring_up(self, player: Child, recorder: Child, patience: float) -> None:
        """Until the node is active and the scans are prepared, all of it within ``patience`` seconds of the demo.

        Raises:
            ChildEnded: the time is over; says how far the start-up came.
        """

        def tell(doing: str) -> Callable[[], None]:
            def tick() -> None:
                state = f"{doing}; {_prepared(player)}"
                if self._console.elapsed > patience:
                    raise ChildEnded(f"Expected the start-up to take less than {patience:g} s, got this far: {state}. "
                                     "Allow more with --time-limit, or play less with --frames")
                self._console.progress(state)

            return tick

        self._call(lambda: self._lifecycle.wait(60.0), 65.0, "the node to appear", tell("starting the node"))
        self._call(lambda: self._lifecycle.change("configure", patience), patience + 5.0, "the node to configure",
                   tell("loading and warming up the network"))
        wait_until(lambda: recorder.seen("ready"), self._group, 30.0, "the recorder to start", tell("recorder"))
        waiting = tell("node is ready")
        wait_until(lambda: player.seen("ready"), self._group, patience, "the scans to be prepared", waiting)
        self._call(lambda: self._lifecycle.change("activate", 10.0), 15.0, "the node to activate", tell("activating"))

    def follow(self, player: Child, over: Callable[[], bool]) -> bool:
        """Until every cloud is played and has met its outcome, or ``over()``; returns whether all have."""

        def tell() -> None:
            playing = player.seen("published") or {"done": 0, "of": "all"}
            self._console.progress(f"played {playing['done']} of {playing['of']} clouds; {self._so_far()}")

        wait_until(lambda: self._settled(player) or over(), self._group, float("inf"), "every outcome", tell)
        tell()
        return self._settled(player)

    def wind_down(self) -> None:
        """Deactivate and clean up through the services; what is still in flight is flushed and counted."""
        for transition in ("deactivate", "cleanup"):
            self._call(partial(self._lifecycle.change, transition, 20.0), 25.0, f"the node to {transition}")

    def _call(
        self, call: Callable[[], bool], timeout: float, what: str, tick: Callable[[], None] | None = None
    ) -> None:
        future = self._calls.submit(call)
        wait_until(future.done, self._group, timeout, what, tick)
        if not future.result():
            logs = self._group.children[0].log
            raise PascoError(f"Expected {what}, but it did not: the reason is in {logs}\n{_last_error(logs)}")

    def _settled(self, player: Child) -> bool:
        """Whether the node has told the fate of every cloud it received, the last one included."""
        finished = player.seen("finished")
        if finished is None or self._last is None:
            return False
        received, pending = int(self._last.frames_received), int(self._last.frames_by_outcome[Outcome.PENDING])
        return pending == 0 and received >= finished["sent"]

    def _so_far(self) -> str:
        if self._last is None:
            return "nothing received yet"
        counts = zip(Outcome, self._last.frames_by_outcome, strict=True)
        told = ", ".join(f"{int(n)} {outcome.name.lower()}" for outcome, n in counts if n and outcome)
        return f"node received {int(self._last.frames_received)}: {told}"

    def _remember(self, status: FrameStatus) -> None:
        self._last = status


def _prepared(player: Child) -> str:
    done = player.seen("prepared")
    return f"{done['done']} of {done['of']} scans prepared" if done else "no scan prepared yet"


def _last_error(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in lines if "ERROR" in line or "FATAL" in line]
    return "\n".join(f"    {line}" for line in errors[-3:])
