"""Opens a dataset folder by what it looks like."""

from __future__ import annotations

import os
from pathlib import Path

from pasco_core.data.datasets.dataset import Dataset
from pasco_core.data.datasets.folders import is_folder
from pasco_core.data.datasets.kitti_360 import Kitti360, is_kitti_360
from pasco_core.data.datasets.kitti_raw import is_kitti_raw
from pasco_core.data.datasets.semantic_kitti import SemanticKitti, sequences_root
from pasco_core.errors import DataError

_SEMANTIC_KITTI, _KITTI_360 = "SemanticKITTI", "SSCBench-KITTI-360"


def open_dataset(root: str | os.PathLike[str], truth_root: str | os.PathLike[str] | None = None) -> Dataset:
    """The reader for the layout found in ``root``: SemanticKITTI or SSCBench-KITTI-360. Reads no scan.

    Args:
        root: SemanticKITTI: the folder that holds ``sequences/``, or its parent with ``dataset/``. SSCBench-KITTI-360:
            the folder that holds ``data_3d_raw/`` or ``labels/``.
        truth_root: another folder of the same layout, in which voxel and instance labels are looked up first; for scans
            that lie where nothing can be written.

    Raises:
        DataError: no such folder, or none of these layouts; the message says where a dataset seems to be instead. Or
            ``truth_root`` has the other layout.
    """
    root = Path(root)
    for path in (root, truth_root):
        if path is not None and not is_folder(Path(path)):
            raise DataError(f"Expected {path} to be a folder with a dataset, got {_kind(Path(path))}")
    layout, other = _layout(root), "" if truth_root is None else _layout(Path(truth_root))
    if layout and other not in ("", layout):
        rule = f"to be in the layout of {root}, {layout}"
        raise DataError(f"Expected the folder of labels {truth_root} {rule}, got {other}")
    if layout == _SEMANTIC_KITTI:
        return SemanticKitti(root, truth_root)
    if layout == _KITTI_360:
        return Kitti360(root, truth_root)
    raise DataError(
        f"Expected {root} to hold sequences/ ({_SEMANTIC_KITTI}), or data_3d_raw/ or labels/ ({_KITTI_360}), "
        f"got {_content(root)}{layout_hint(root)}"
    )


def _layout(root: Path) -> str:
    """What a folder holds, "" where that is neither layout."""
    if is_folder(sequences_root(root) / "sequences"):
        return _SEMANTIC_KITTI
    return _KITTI_360 if is_kitti_360(root) else ""


def layout_hint(root: Path) -> str:
    """``; did you mean …?`` where a folder above or below ``root`` is a dataset, else nothing."""
    if is_kitti_raw(root):
        return "; KITTI's raw recordings become a dataset by `pasco data to-bag` and `pasco data from-bag`"
    root = root.absolute()
    near = [*list(root.parents)[:4], *_below(root)]
    for folder in near:
        if is_folder(folder / "sequences") or is_kitti_360(folder):
            return f"; did you mean {folder}?"
    return ""


def _below(root: Path) -> list[Path]:
    """Folders one and two levels down."""
    try:
        first = sorted(path for path in root.iterdir() if is_folder(path))[:50]
        return first + [inner for path in first for inner in sorted(path.iterdir())[:50] if is_folder(inner)]
    except OSError:
        return []


def _content(root: Path) -> str:
    try:
        names = sorted(os.listdir(root))
    except OSError as error:
        return f"a folder that cannot be read ({error.strerror})"
    if not names:
        return "an empty folder"
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _kind(path: Path) -> str:
    try:
        return "a file" if path.exists() else "nothing there"
    except (OSError, ValueError) as error:
        return str(error)
