"""Drives a lifecycle node through its services."""

from __future__ import annotations

import threading
import time
from typing import Any

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.node import Node

from pasco_core.errors import PascoError

_TICK = 0.1  # seconds between two looks whether to go on waiting

STATES = {
    State.PRIMARY_STATE_UNCONFIGURED: "unconfigured", State.PRIMARY_STATE_INACTIVE: "inactive",
    State.PRIMARY_STATE_ACTIVE: "active", State.PRIMARY_STATE_FINALIZED: "finalized",
}
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE, "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE, "cleanup": Transition.TRANSITION_CLEANUP,
}
# The transition to finalized has another number in each state.
SHUTDOWNS = {
    "unconfigured": Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, "inactive": Transition.TRANSITION_INACTIVE_SHUTDOWN,
    "active": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


class LifecycleClient:
    """Calls the lifecycle services of one node.

    Args:
        node: a node that is spun in another thread.
        target: name of the lifecycle node.
    """

    def __init__(self, node: Node, target: str) -> None:
        self._target = target
        self._given_up = threading.Event()
        self._change: Any = node.create_client(ChangeState, f"{target}/change_state")
        self._get: Any = node.create_client(GetState, f"{target}/get_state")

    def wait(self, timeout: float) -> bool:
        """Whether the node's services appear within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not (self._change.service_is_ready() and self._get.service_is_ready()):
            if time.monotonic() > deadline or self._given_up.wait(_TICK):
                return False
        return True

    def give_up(self) -> None:
        """End every wait of this client, in whichever thread, now and from now on."""
        self._given_up.set()

    def change(self, transition: str, timeout: float) -> bool:
        """Ask for a transition: configure, activate, deactivate, cleanup or shutdown.

        Returns:
            Whether the node made it.

        Raises:
            PascoError: no answer within ``timeout`` seconds.
        """
        number = SHUTDOWNS[self.state(timeout)] if transition == "shutdown" else TRANSITIONS[transition]
        request = ChangeState.Request(transition=Transition(id=number))
        return bool(self._call(self._change, request, timeout, transition).success)

    def state(self, timeout: float = 5.0) -> str:
        """Name of the state the node is in.

        Raises:
            PascoError: no answer within ``timeout`` seconds.
        """
        return STATES[self._call(self._get, GetState.Request(), timeout, "get_state").current_state.id]

    def _call(self, client: Any, request: Any, timeout: float, what: str) -> Any:
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        deadline = time.monotonic() + timeout
        while not done.wait(_TICK):
            if time.monotonic() < deadline and not self._given_up.is_set():
                continue
            client.remove_pending_request(future)
            raise PascoError(f"Expected {self._target} to answer '{what}' within {timeout:g} s, got no answer")
        return future.result()
