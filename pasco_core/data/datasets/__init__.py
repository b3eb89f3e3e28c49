"""Dataset readers."""

from pasco_core.data.datasets.dataset import Dataset
from pasco_core.data.datasets.kitti_360 import Kitti360
from pasco_core.data.datasets.open_dataset import open_dataset
from pasco_core.data.datasets.semantic_kitti import SemanticKitti
from pasco_core.data.frame import UNKNOWN, Frame, VoxelTruth

__all__ = ["UNKNOWN", "Dataset", "Frame", "Kitti360", "SemanticKitti", "VoxelTruth", "open_dataset"]
