"""The soak test from start to end: the node in a process of its own, a schedule of faults, and a verdict."""

from __future__ import annotations

import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.signals import SignalHandlerOptions

from pasco_core.data.plain_scan import plain_scan
from pasco_core.errors import ConfigError, PascoError
from pasco_core.stream.outcomes import Outcome
from pasco_ros.demo.lifecycle_client import LifecycleClient
from pasco_ros.demo.processes import Child, ChildGroup, graph_environment, wait_until
from pasco_ros.demo.spin_thread import SpinThread
from pasco_ros.demo.topics import CLOUDS, NODE
from pasco_ros.simulation.car import CarPlan, kitti_lidar_mount
from pasco_ros.simulation.frames_ahead import FramesAhead, numbers_of
from pasco_ros.soak.clouds import KINDS
from pasco_ros.soak.driver import BASE, Driver
from pasco_ros.soak.faulty_node import MODELS
from pasco_ros.soak.schedule import Step, make_schedule
from pasco_ros.soak.verdict import Findings, error_lines, judge

_SENSOR = "hdl-64e"
_START, _TRANSITION = 180.0, 60.0  # seconds
_SETTLE = 10.0  # seconds in which the last clouds meet their outcome
_LENIENT = 3.0  # seconds after a jump of the clock in which a cloud may seem to be from the past or the future
_GOOD = (("uncertainty_threshold", 0.8), ("max_points", 60_000), ("min_range", 2.0), ("empty_cloud", "skip"),
         ("uncertainty_threshold", 1.0), ("max_points", 300_000), ("min_range", 0.1), ("empty_cloud", "publish"))
_BAD = (("uncertainty_threshold", 7.0), ("max_points", -1), ("empty_cloud", "ignore"), ("device", "cuda:9"))


@dataclass(frozen=True)
class SoakSettings:
    """What the soak test does.

    Args:
        minutes: of driving.
        rate: clouds per second.
        seed: of the schedule, the town and the failures.
        model: key of ``faulty_node.MODELS``.
        frames: of the simulated town, played forth and back; 0: one plain scan, which needs no simulator.
        out: folder for logs and verdict.
    """

    minutes: float = 20.0
    rate: float = 10.0
    seed: int = 0
    model: str = MODELS[0]
    frames: int = 100
    out: Path = Path("out/soak")

    def check(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigError: names the option, the rule and the value.
        """
        if not 0.1 <= self.minutes < math.inf:
            raise ConfigError(f"Expected --minutes to be at least 0.1, got {self.minutes:g}")
        if not 1 <= self.rate <= 100:
            raise ConfigError(f"Expected --rate to be 1 to 100 clouds per second, got {self.rate:g}")
        if not 0 <= self.frames <= 1000:
            raise ConfigError(f"Expected --frames to be 0 to 1000, got {self.frames}")
        if self.seed < 0:
            raise ConfigError(f"Expected --seed to be at least 0, got {self.seed}")


def run_soak(settings: SoakSettings, say: Callable[[str], None]) -> dict[str, Any]:
    """Drive, judge, and write the verdict to verdict.json.

    Raises:
        ConfigError: wrong settings.
        PascoError: the node did not start, or ended.
    """
    settings.check()
    settings.out.mkdir(parents=True, exist_ok=True)
    environment = graph_environment(1 + os.getpid() % 100, settings.out / "logs")
    say(f"Preparing {settings.frames or 'no'} frames of the simulated town")
    scans = _scans(settings)
    with ChildGroup(environment, settings.out / "logs") as group:
        node = group.start("node", [
            "-m", "pasco_ros.soak.faulty_node", "--model", settings.model, "--seed", str(settings.seed), "--ros-args",
            "-r", f"points:={CLOUDS}", "-p", "use_sim_time:=true", "-p", f"base_frame:={BASE}",
        ])
        os.environ.update({name: v for name, v in environment.items() if name.startswith(("ROS", "RMW", "FAST"))})
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        try:
            found = Soak(settings, group, node, scans, say).drive()
        finally:
            rclpy.try_shutdown()
    verdict = {"settings": {name: str(value) for name, value in vars(settings).items()}, **judge(found)}
    text = json.dumps(verdict, indent=2, allow_nan=False)
    (settings.out / "verdict.json").write_text(text + "\n", encoding="utf-8")
    return verdict


class Soak:
    """One run, from the node's start to its end."""

    def __init__(
        self, settings: SoakSettings, group: ChildGroup, node: Child, scans: Sequence[np.ndarray],
        say: Callable[[str], None],
    ) -> None:
        self._settings, self._group, self._node, self._say = settings, group, node, say
        self._driver = Driver(scans, settings.seed)
        self._lifecycle = LifecycleClient(self._driver, NODE)
        self._calls = ThreadPoolExecutor(1)
        self._parameters = AsyncParameterClient(self._driver, NODE)
        self._rng = np.random.default_rng([settings.seed, 1])
        self._memory: list[tuple[float, int]] = []
        self._episodes: Counter[str] = Counter()
        self._unbalanced: list[str] = []
        self._outcomes: Counter[str] = Counter()
        self._received = self._judged = self._n_changed = 0
        self._lenient_until = self._no_transforms_until = 0.0

    def drive(self) -> Findings:
        """Bring the node up, work through the schedule, and wind it down."""
        spin = SpinThread(self._driver)
        try:
            self._bring_up()
            seconds = self._play()
            self._deactivate()
            self._transition("cleanup")
        finally:
            self._lifecycle.give_up()
            self._calls.shutdown(wait=True, cancel_futures=True)
            spin.stop()
            code = self._node.stop()
            driver = self._driver
            driver.destroy_node()
        log = error_lines(self._node.log.read_text(encoding="utf-8", errors="replace"))
        return Findings(
            seconds, driver.sent, self._received, len(driver.statuses), self._outcomes, self._unbalanced,
            driver.outputs, driver.surprises, self._memory, log, code, self._episodes,
        )

    def _bring_up(self) -> None:
        ready = self._calls.submit(self._lifecycle.wait, _START)
        self._wait(lambda: ready.done() and ready.result(), _START, "the node to appear")
        self._transition("configure", _START)
        self._activate()

    def _play(self) -> float:
        """Everything in the schedule at its time; returns how many seconds it took."""
        settings = self._settings
        steps = make_schedule(settings.seed, 60 * settings.minutes, settings.rate, tuple(KINDS))
        started = told = time.monotonic()
        for step in steps:
            self._sample(started)
            time.sleep(max(0.0, started + step.time - time.monotonic()))
            now = time.monotonic()
            self._driver.transforms = now >= self._no_transforms_until
            self._do(step, now)
            if now - told >= 60:
                told = now
                self._say(f"{(now - started) / 60:.0f} of {settings.minutes:g} min: {self._driver.n_sent} clouds sent, "
                          f"{len(self._driver.statuses)} outcomes, {self._memory[-1][1] / 1e6:.0f} MB")
        return time.monotonic() - started

    def _do(self, step: Step, now: float) -> None:
        lenient = now < self._lenient_until
        if step.action == "cloud":
            self._driver.send(step.kind, lenient=lenient)
            return
        self._episodes[step.action] += 1
        if step.action == "burst":
            for _ in range(int(step.amount)):
                self._driver.send("good", lenient=lenient)
        elif step.action in ("clock back", "clock forward"):
            self._lenient_until = now + _LENIENT
            self._driver.jump(-10.0 if step.action == "clock back" else step.amount)
        elif step.action == "no transforms":
            self._no_transforms_until = now + step.amount
        elif step.action == "same stamp again":
            self._driver.send("good", again=True, lenient=True)
        elif step.action == "older stamp":
            self._driver.send("good", shift=-0.5, lenient=True)
        elif step.action in ("good parameter", "bad parameter"):
            self._change_parameter(step.action == "good parameter")
        elif step.action == "deactivate":
            self._deactivate()
            time.sleep(min(step.amount, 1.5))
            self._activate()

    def _change_parameter(self, good: bool) -> None:
        choices = _GOOD if good else _BAD
        name, value = choices[self._n_changed % len(choices)]
        self._n_changed += 1
        future = self._parameters.set_parameters([Parameter(name, value=value)])
        self._wait(future.done, _TRANSITION, f"an answer to {name} = {value}")
        answer = future.result()
        if answer is None or answer.results[0].successful is not good:
            self._driver.surprises[f"{name} = {value} was {'rejected' if good else 'accepted'}"] += 1

    def _activate(self) -> None:
        self._driver.silent_since = None
        self._transition("activate")
        self._wait(self._driver.connected, _TRANSITION, "the node to listen")

    def _deactivate(self) -> None:
        """Let the last clouds arrive, deactivate, and see whether everything received in this activation adds up."""
        time.sleep(0.3)
        self._transition("deactivate")
        self._driver.silent_since = time.monotonic()
        statuses = self._driver.statuses
        deadline = time.monotonic() + _SETTLE
        while time.monotonic() < deadline and not self._balanced():
            time.sleep(0.05)
        number = len(statuses) - self._judged
        if number == 0:
            return
        last = statuses[-1]
        if not self._balanced():
            self._unbalanced.append(f"{last.frames_received} received, {number} statuses, counted as "
                                    f"{list(map(int, last.frames_by_outcome))}")
        self._received += int(last.frames_received)
        self._outcomes.update({
            outcome.name: int(n) for outcome, n in zip(Outcome, last.frames_by_outcome, strict=True) if n
        })
        self._judged = len(statuses)

    def _balanced(self) -> bool:
        statuses = self._driver.statuses
        if len(statuses) == self._judged:
            return False
        last = statuses[-1]
        counts = last.frames_by_outcome
        return int(last.frames_received) == len(statuses) - self._judged == int(sum(counts)) and not counts[0]

    def _transition(self, name: str, timeout: float = _TRANSITION) -> None:
        future = self._calls.submit(self._lifecycle.change, name, timeout)
        self._wait(future.done, timeout + 5.0, f"the node to {name}")
        if not future.result():
            raise PascoError(f"Expected the node to {name}, got a refusal; see {self._node.log}")

    def _wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        wait_until(condition, self._group, timeout, what)

    def _sample(self, started: float) -> None:
        """Look at the node once per second: whether it runs, and its memory."""
        now = time.monotonic() - started
        if self._memory and now - self._memory[-1][0] < 1.0:
            return
        self._group.check()
        pages = int(Path(f"/proc/{self._node.pid}/statm").read_text(encoding="ascii").split()[1])
        self._memory.append((now, pages * os.sysconf("SC_PAGE_SIZE")))


def _scans(settings: SoakSettings) -> list[np.ndarray]:
    """Scans of the simulated town, all computed before the drive so that it keeps its rate."""
    if settings.frames == 0:
        return [plain_scan()]
    frames = FramesAhead(
        CarPlan(settings.seed, _SENSOR, "still", (kitti_lidar_mount(_SENSOR),)), numbers_of(0, settings.frames, False),
        ahead=settings.frames,
    )
    try:
        return [frames.take().scans[0].points for _ in range(settings.frames)]
    finally:
        frames.close()
