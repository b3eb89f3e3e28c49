"""The node ``simulated_town``: drives through the simulated town and publishes what the car's sensors see."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import rclpy
from builtin_interfaces.msg import Time
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from pasco_core.data.simulation.drive import FRAME_RATE
from pasco_core.errors import PascoError
from pasco_ros.node_runner import run_node
from pasco_ros.reporting.log_bridge import bridge_logging
from pasco_ros.settings.parameters import declare_parameters, read_config
from pasco_ros.simulation.car import Car, CarPlan, every
from pasco_ros.simulation.car_publishers import CarPublishers
from pasco_ros.simulation.frames_ahead import FramesAhead, numbers_of
from pasco_ros.simulation.pace import Pace
from pasco_ros.simulation.settings import SimulationSettings

NODE_NAME = "simulated_town"
_BEGIN = 1.0  # seconds: simulated time when a drive begins; a stamp of 0 would mean "not set"
_TELL_PERIOD = 10.0  # seconds between two looks at the pace
_SLOW = 0.95  # share of the wanted speed below which the node says so
_FAILED = 1

# Not __name__, which is "__main__" where the module is run as a program.
_log = logging.getLogger("pasco_ros.simulated_town")


class SimulatedTown(Node):
    """Publishes a drive at its pace: simulated time passes with the computer's and waits for frames.

    Args:
        arguments: command line with ``--ros-args``, for remaps and parameters.
        **options: as for ``rclpy.node.Node``.

    Raises:
        ConfigError: a parameter is unknown or breaks its rule, or something the simulation needs is not installed.
    """

    def __init__(self, arguments: Sequence[str] = (), **options: Any) -> None:
        super().__init__(NODE_NAME, **options)
        bridge_logging(self)
        declare_parameters(self, arguments, SimulationSettings)
        self._config = config = read_config(self, SimulationSettings)
        plan = CarPlan(
            config.seed, config.sensor, config.sweep, config.mounts, every(config.image_rate), every(config.truth_rate)
        )
        car = Car(plan)
        self.exit_code = 0
        self.published = 0
        self._pace = Pace(config.speed)
        self._topics = CarPublishers(self, config, car)
        numbers = numbers_of(config.start_frame, config.frames, config.loop)
        self._frames = FramesAhead(plan, numbers, config.workers, config.ahead)
        self._next = 0  # counted from the drive's first frame
        self._last_tick: float | None = None
        self._last_moment = -1.0
        self._told = time.monotonic()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self.create_timer(1.0 / config.odometry_rate, self._tick, clock=steady)
        length = f"{config.frames} frames{', again and again' if config.loop else ''}" if config.frames else "no end"
        _log.info("Driving through town %d with %d %s, %s; computing the first frames", config.seed,
                  len(config.lidar_topics), config.sensor, length)

    def close(self) -> bool:
        """End the processes that compute; returns whether no thread of the node runs any more."""
        self._frames.close()
        return True

    def _tick(self) -> None:
        try:
            self._drive()
        except PascoError as error:
            _log.fatal("The simulation ends. %s", error)
            self._end(_FAILED)

    def _drive(self) -> None:
        """Let time pass, and publish what has become due."""
        now = time.monotonic()
        if self._last_tick is None:
            if not self._frames.ready():
                return
            self._last_tick = self._told = now
            self._topics.begin(self._stamp())
        self._pace.let_pass(now - self._last_tick)
        self._last_tick = now
        while not self._frames.over() and self._pace.reach(self._next / FRAME_RATE):
            if not self._frames.ready():
                self._pace.wait()
                break
            self._publish_frame()
        else:
            self._publish_moment()
        if self._frames.over():
            _log.info("The drive is over after %d frames", self.published)
            self._end(0)
        self._tell_pace(now)

    def _publish_frame(self) -> None:
        frame = self._frames.take()
        self._publish_moment()
        self._topics.frame(frame, self._stamp())
        self.published += 1
        self._next += 1
        if self._config.loop and self._next == self._config.frames:
            _log.info("The drive begins anew")
            self._next, self._last_moment = 0, -1.0
            self._pace.restart()

    def _publish_moment(self) -> None:
        if self._pace.now > self._last_moment:
            self._last_moment = self._pace.now
            self._topics.moment(self._config.start_frame / FRAME_RATE + self._pace.now, self._stamp())

    def _stamp(self) -> Time:
        if not self._config.clock:
            return self.get_clock().now().to_msg()
        seconds, nanoseconds = divmod(round((_BEGIN + self._pace.now) * 1e9), 1_000_000_000)
        return Time(sec=seconds, nanosec=nanoseconds)

    def _tell_pace(self, now: float) -> None:
        if now - self._told < _TELL_PERIOD:
            return
        self._told = now
        factor, wanted = self._pace.factor(), self._config.speed
        if factor >= _SLOW * wanted:
            _log.debug("Real-time factor %.2f", factor)
        elif self._config.clock:
            _log.warning("Real-time factor %.2f instead of %.2f: simulated time waits for the computer", factor, wanted)
        else:
            _log.warning("Real-time factor %.2f instead of %.2f: the car is slower than its stamps and velocities say; "
                         "set clock to true", factor, wanted)

    def _end(self, code: int) -> None:
        self.exit_code = code
        self._timer.cancel()
        rclpy.try_shutdown(context=self.context)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until the drive is over or it is interrupted; the entry point of the executable.

    Returns:
        0 when the drive is over or after an interruption, 1 when it could not go on, 2 when the start was refused.
    """
    nodes: list[SimulatedTown] = []

    def make(argv: Sequence[str]) -> SimulatedTown:
        nodes.append(SimulatedTown(argv))
        return nodes[0]

    return run_node(make, arguments) or nodes[0].exit_code


if __name__ == "__main__":
    raise SystemExit(main())
