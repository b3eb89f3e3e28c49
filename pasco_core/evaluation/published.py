"""The published numbers of PaSCo's four checkpoints, to be shown beside measured ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI

SOURCE = (
    "Cao et al., PaSCo: Urban 3D Panoptic Scene Completion with Uncertainty Awareness, CVPR 2024; the authors' README"
)


@dataclass(frozen=True)
class Published:
    """One row of the published tables: paper protocol, random views at test time, NVIDIA V100.

    Args:
        name: of the row; with several subnets it is the ensemble.
        subnets: of the network.
        percent: precision, recall, iou, miou, pq_dagger, pq, sq, rq, thing_pq, stuff_pq, in percent.
        uncertainty: ins_ece, ins_nll, nonempty_ece, empty_ece, nonempty_nll, empty_nll, count.
        seconds: of the network, and of the ensembling.
        megabytes: of GPU memory.
    """

    name: str
    subnets: int
    percent: Mapping[str, float]
    uncertainty: Mapping[str, float]
    seconds: tuple[float, float]
    megabytes: int


_PERCENT = ("precision", "recall", "iou", "miou", "pq_dagger", "pq", "sq", "rq", "thing_pq", "stuff_pq")
_UNCERTAINTY = ("ins_ece", "ins_nll", "nonempty_ece", "empty_ece", "nonempty_nll", "empty_nll", "count")


def _row(
    name: str, subnets: int, percent: str, uncertainty: str, seconds: tuple[float, float], megabytes: int
) -> Published:
    return Published(
        name, subnets,
        dict(zip(_PERCENT, map(float, percent.split()), strict=True)),
        dict(zip(_UNCERTAINTY, map(float, uncertainty.split()), strict=True)),
        seconds, megabytes,
    )


PUBLISHED: dict[str, tuple[Published, ...]] = {
    SEMANTIC_KITTI.name: (
        _row("PaSCo, n = 1", 1, "86.41 57.98 53.13 29.15 26.33 15.71 53.82 24.27 12.27 18.21",
             ".6235 4.6463 .0911 .0357 .7075 .9657 11702", (0.703, 0.004), 8895),
        _row("PaSCo, n = 3", 3, "83.59 62.10 55.35 29.54 30.61 16.38 55.41 25.24 13.49 18.49",
             ".5239 4.5508 .0570 .0216 .6968 .4914 8982", (1.193, 0.033), 24330),
    ),
    KITTI_360.name: (
        _row("PaSCo, n = 1", 1, "65.07 58.86 44.73 21.18 19.50 10.09 56.86 15.67 3.71 13.29",
             ".7872 5.3554 .2259 .1306 1.1598 3.5766 36668", (0.565, 0.004), 9059),
        _row("PaSCo, n = 2", 2, "62.66 65.70 47.22 22.07 28.43 11.04 52.86 17.34 5.09 14.02",
             ".5899 3.8083 .1616 .1068 1.1075 2.1397 18990", (1.332, 0.024), 17902),
    ),
}
"""Label set → rows, of the whole validation split."""


def published_rows(label_set: str) -> tuple[Published, ...]:
    """The published rows of a dataset; none for others."""
    return PUBLISHED.get(label_set, ())
