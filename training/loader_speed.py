"""How long one item of training takes to make: seconds of one process and one thread, as each loader process has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from training.items import TrainingItems
from training.sampling import EpochSampler


@dataclass(frozen=True)
class LoaderSpeed:
    """Of the items of one epoch, or the first of them.

    Args:
        items: how many were made.
        scans: different scans in all of them.
        views: of scans, one per subnet, in each item.
        median, slow: seconds per item; one in ten takes longer than ``slow``.
    """

    items: int
    scans: int
    views: int
    median: float
    slow: float


def measure_loader(items: TrainingItems, clock: Callable[[], float], n_items: int = 50) -> LoaderSpeed:
    """Makes items of the first epoch one after the other, after two that warm up.

    Args:
        items: what the loader makes.
        clock: processor seconds of this process.
        n_items: at most so many.
    """
    places = list(EpochSampler(len(items), 1.0, seed=0))[:n_items]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for place in places[:2]:
            items[place]
        seconds, scans, views = [], 0, 0
        for place in places:
            began = clock()
            batch = items[place]
            seconds.append(clock() - began)
            scans, views = scans + len(set(batch.frames)), len(batch.frames)
    finally:
        torch.set_num_threads(threads)
    return LoaderSpeed(len(seconds), scans, views, float(np.median(seconds)), float(np.quantile(seconds, 0.9)))
