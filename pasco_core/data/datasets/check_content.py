"""Reads a file of a dataset to its last byte, and says what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pasco_core.data.datasets.instance_files import instance_path, read_instances
from pasco_core.data.datasets.kitti_360 import Kitti360
from pasco_core.data.datasets.open_dataset import open_dataset
from pasco_core.data.datasets.semantic_kitti import SemanticKitti
from pasco_core.data.frame import Frame
from pasco_core.errors import DataError

SCAN, POINT_LABELS, CLASSES, INSTANCES, IMAGE = "scan", "point labels", "classes", "instances", "image"


@dataclass(frozen=True)
class ContentCheck:
    """One file of one frame.

    Args:
        kind: one of the constants above.
        frame: whose.
        path: the file, for the finding.
    """

    kind: str
    frame: Frame
    path: Path


def content_checks(dataset: SemanticKitti | Kitti360) -> Iterator[ContentCheck]:
    """Every file whose content has a rule, and that is there."""
    for name in dataset.sequences():
        for index in sorted(dataset.numbers_on_disk(name)):
            frame = Frame(name, index)
            for kind, path in _files(dataset, frame):
                if path is not None and path.is_file():
                    yield ContentCheck(kind, frame, path)


def _files(dataset: SemanticKitti | Kitti360, frame: Frame) -> Iterator[tuple[str, Path | None]]:
    for root in dict.fromkeys((dataset.truth_root, dataset.root)):
        yield INSTANCES, instance_path(root, frame)
    if isinstance(dataset, Kitti360):
        yield SCAN, dataset.scan_path_if_matched(frame)
        yield CLASSES, dataset.label_path(frame)
        return
    yield SCAN, dataset.scan_path(frame)
    yield POINT_LABELS, dataset.point_label_path(frame)
    yield CLASSES, dataset.voxel_path(frame, ".label")
    yield IMAGE, dataset.image_path(frame)


@dataclass(frozen=True)
class ContentChecker:
    """Reads the file of a check; can be sent to another process.

    Args:
        root, truth_root: as for ``open_dataset``.
    """

    root: Path
    truth_root: Path

    def __call__(self, check: ContentCheck) -> str | None:
        """What is wrong with the file, or None."""
        dataset = _opened(self.root, self.truth_root)
        readers: dict[str, Callable[[], object]] = {
            SCAN: lambda: dataset.points(check.frame),
            CLASSES: lambda: dataset.voxel_classes(check.frame),
            INSTANCES: lambda: read_instances(check.path, dataset.labels, dataset.grid.shape),
        }
        if isinstance(dataset, SemanticKitti):
            readers[POINT_LABELS] = lambda: dataset.point_labels(check.frame)
            readers[IMAGE] = lambda: dataset.image(check.frame)
        try:
            readers[check.kind]()
        except DataError as error:
            return str(error)
        return None


@lru_cache(maxsize=1)
def _opened(root: Path, truth_root: Path) -> SemanticKitti | Kitti360:
    return open_dataset(root, truth_root)  # type: ignore[return-value]
