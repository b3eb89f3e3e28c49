"""Small datasets in the official layouts, made by hand and fresh for each test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from dataset_trees import write_kitti_360, write_semantic_kitti


@pytest.fixture
def kitti(tmp_path: Path) -> Path:
    """SemanticKITTI: sequences 00 (train) and 08 (val), six scans each, voxel truth for scans 0 and 5."""
    return write_semantic_kitti(tmp_path / "kitti")


@pytest.fixture
def kitti_360(tmp_path: Path) -> Path:
    """SSCBench-KITTI-360: drives 0006 and 0009 with two frames each."""
    return write_kitti_360(tmp_path / "kitti360")
