"""How fast this machine is, so that times of different machines can be compared; and how much memory was used."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import torch

PRODUCT_SIZE = 2048
Clock = Callable[[], float]


def median_seconds(work: Callable[[], object], clock: Clock, device: str = "cpu", repeats: int = 3) -> float:
    """Median wall seconds of ``work`` after one call that does not count."""
    work()
    seconds = []
    for _ in range(repeats):
        _finish(device)
        start = clock()
        work()
        _finish(device)
        seconds.append(clock() - start)
    return statistics.median(seconds)


def product_seconds(clock: Clock, device: str = "cpu") -> float:
    """Seconds of one 2048³ float32 matrix product: the unit that network times are given in."""
    a = torch.randn(PRODUCT_SIZE, PRODUCT_SIZE, generator=torch.Generator().manual_seed(0)).to(device)
    return median_seconds(lambda: a @ a, clock, device, repeats=9)


def _finish(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def forget_peak_memory(device: str = "cpu") -> None:
    """Starts the count of ``peak_memory`` anew (on the CPU: Linux only, elsewhere it counts from process start)."""
    if device != "cpu":
        if torch.cuda.is_initialized():  # before that nothing is held, and torch refuses to count
            torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_memory(device: str = "cpu") -> int | None:
    """Most bytes held since ``forget_peak_memory``: of the process on the CPU, allocated on a GPU; None if unknown."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated(device)
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0][1]) * 1024 if lines else None
