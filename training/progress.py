"""How a training shows itself: a bar on a terminal, lines elsewhere, and a warning when the data is too slow."""

from __future__ import annotations

import importlib.util
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar, TQDMProgressBar

log = logging.getLogger("training")

_WINDOW = 50  # steps over which the waiting is judged
_TOO_MUCH = 0.2


def progress_bar() -> ProgressBar | None:
    """Rich's bar where rich is installed, else tqdm's; none where stderr is not a terminal."""
    if not sys.stderr.isatty():
        return None
    return RichProgressBar() if importlib.util.find_spec("rich") else TQDMProgressBar()


class Lines(pl.Callback):
    """One line per so many steps and one per validation, through ``logging``.

    Args:
        every: steps.
        clock: seconds.
    """

    def __init__(self, every: int, clock: Callable[[], float] = time.perf_counter):
        self._every, self._clock = every, clock
        self._since: tuple[int, float] | None = None

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A line now and then."""
        step, now = trainer.global_step, self._clock()
        if self._since is None:
            self._since = (step, now)
        if step % self._every or step == self._since[0] or not trainer.is_global_zero:
            return
        seconds = (now - self._since[1]) / (step - self._since[0])
        self._since = (step, now)
        loss = float(trainer.callback_metrics.get("loss", float("nan")))
        log.info("epoch %d step %d: loss %.4f, %.2f s per step", trainer.current_epoch, step, loss, seconds)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The ensemble's figures."""
        if trainer.is_global_zero and not trainer.sanity_checking:
            figures = {k: v for k, v in trainer.callback_metrics.items() if k.startswith("val/ensemble/")}
            text = ", ".join(f"{key.rsplit('/', 1)[1]} {float(value):.4g}" for key, value in figures.items())
            log.info("validation after epoch %d: %s", trainer.current_epoch, text)


class LoaderWatch(pl.Callback):
    """Measures how long the training waits for its data, logs the share, and warns once when it is much.

    Args:
        workers: loader processes, for the message.
        clock: seconds.
    """

    def __init__(self, workers: int, clock: Callable[[], float] = time.perf_counter):
        self._workers, self._clock = workers, clock
        self._ended: float | None = None
        self._began = 0.0
        self._waiting = self._working = 0.0
        self._steps = 0
        self.warned = False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The start of the loader's processes is not waiting."""
        self._ended = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The data is here."""
        self._began = self._clock()
        if self._ended is not None:
            self._waiting += self._began - self._ended

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """The step is done."""
        now = self._clock()
        if self._ended is not None:
            self._working += now - self._began
            self._steps += 1
        self._ended = now
        if self._steps >= _WINDOW:
            self._judge(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Validation is not waiting either."""
        self._ended = None

    def _judge(self, pl_module: pl.LightningModule) -> None:
        steps, waiting, working = self._steps, self._waiting, self._working
        self._steps, self._waiting, self._working = 0, 0.0, 0.0
        share = waiting / max(waiting + working, 1e-9)
        pl_module.log("loader_wait", share, batch_size=1)
        if share > _TOO_MUCH and not self.warned:
            self.warned = True
            log.warning(
                "the data loader is the bottleneck: %.0f %% of the last %d steps were spent waiting for data "
                "(%.3f s of %.3f s per step) with %d workers; raise data.workers",
                100 * share, steps, waiting / steps, (waiting + working) / steps, self._workers,
            )


class StepLimit(pl.Callback):
    """Ends the training after so many steps, epochs or not.

    Args:
        max_steps: 0 for no limit.
    """

    def __init__(self, max_steps: int):
        self._max_steps = max_steps

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tells the trainer to stop."""
        if self._max_steps and trainer.global_step >= self._max_steps:
            trainer.should_stop = True
