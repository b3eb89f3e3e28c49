"""Runs the model with as much effort as deadlines and memory allow, and says when that changes."""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Callable

import numpy as np

from pasco_core.errors import InferenceError
from pasco_core.prediction import ScenePrediction
from pasco_core.settings.deadline_settings import AUTO
from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.model import Model
from pasco_core.stream.outcomes import FrameReport
from pasco_ros.computing.degradation import DegradationLadder, Load, Step

_log = logging.getLogger(__name__)

_MEMORY_WORDS = ("out of memory", "not enough memory", "can't allocate memory", "alloc_failed")


class EffortControl:
    """A model and the ladder that chooses its effort; only the computing thread calls it.

    Args:
        model: what predicts.
        config: the settings as they are now.
        clock: seconds, monotonic.
    """

    def __init__(
        self, model: Model, config: Callable[[], NodeConfig], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._model = model
        self._config = config
        self._clock = clock
        self.ladder = DegradationLadder(tuple(model.levels))

    def predict(self, points: np.ndarray, report: FrameReport) -> ScenePrediction:
        """The scene of points (N, 4), at the present level of effort, which is noted in ``report``.

        Where memory runs out, it is freed and the computation tried once more, with less effort if ``degradation`` is
        "auto".

        Raises:
            InferenceError: the memory did not suffice the second time either.
        """
        self._announce(self.ladder.follow(self._config().degradation))
        scene = self._attempt(points, report)
        if isinstance(scene, str):
            self._step_down(scene)
            scene = self._attempt(points, report)
        if isinstance(scene, str):
            raise InferenceError(f"Expected the memory to suffice for effort '{report.effort}', got twice: {scene}")
        return scene

    def observe(self, load: Load) -> None:
        """Take note of what a finished computation took; the next one may get another effort."""
        self._announce(self.ladder.observe(load, self._clock(), self._config()))

    def _attempt(self, points: np.ndarray, report: FrameReport) -> ScenePrediction | str:
        """The scene, or what the allocator said when the memory ran out; all that was allocated is free then."""
        report.effort = self.ladder.level
        try:
            return self._model.predict_at(points, report.effort)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            said = f"{type(error).__name__}: {error}".splitlines()[0]
        # Not within the except clause: there the traceback still holds the tensors of the network's frames.
        free_memory()
        return said

    def _step_down(self, said: str) -> None:
        _log.warning("The memory ran out at effort '%s' (%s); trying once more", self.ladder.level, said)
        config = self._config()
        if config.degradation == AUTO:
            self._announce(self.ladder.lower("the memory ran out", self._clock(), config))

    def _announce(self, step: Step | None) -> None:
        if step is not None:
            level = logging.WARNING if step.down else logging.INFO
            way = "lowered" if step.down else "raised"
            _log.log(level, "Effort %s from '%s' to '%s': %s", way, step.before, step.after, step.reason)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of Python, NumPy or PyTorch (CPU or CUDA) says that there is no memory left.

    >>> is_out_of_memory(RuntimeError("CUDA error: out of memory"))
    True
    """
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in text for words in _MEMORY_WORDS)
    )


def free_memory() -> None:
    """Give back what nobody uses any more, PyTorch's cache on the GPU included."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
