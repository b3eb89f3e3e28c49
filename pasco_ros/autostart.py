"""A lifecycle node that brings itself up, so that it needs nobody who watches whether it was started again."""

from __future__ import annotations

import logging

from lifecycle_msgs.msg import State
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

_log = logging.getLogger(__name__)


class Autostart:
    """Configures and activates the node as soon as it is spun, unless somebody else has begun with it.

    A manager in another process cannot do it reliably: for a while after a crash the middleware still knows the
    services of the dead process, and a request to them is never answered.

    Args:
        node: the node; a failed transition is not repeated.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._timer = node.create_timer(0.0, self._start, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _start(self) -> None:
        self._timer.cancel()
        node = self._node
        if node._state_machine.current_state[0] != State.PRIMARY_STATE_UNCONFIGURED:
            return
        if node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            node.trigger_activate()
        else:
            _log.error("The node was to start by itself and cannot: it waits to be configured")
