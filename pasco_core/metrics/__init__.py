"""How good predicted scenes are: completion, panoptic quality, calibration, and errors found by uncertainty."""

from pasco_core.metrics.calibration import Calibration
from pasco_core.metrics.completion import CompletionMetrics
from pasco_core.metrics.error_detection import SegmentErrorDetection, VoxelErrorDetection
from pasco_core.metrics.panoptic_quality import PanopticQuality
from pasco_core.metrics.scene_metrics import SceneMetrics
from pasco_core.metrics.segment_calibration import InstanceCalibration, MaskCalibration

__all__ = [
    "Calibration",
    "CompletionMetrics",
    "InstanceCalibration",
    "MaskCalibration",
    "PanopticQuality",
    "SceneMetrics",
    "SegmentErrorDetection",
    "VoxelErrorDetection",
]
