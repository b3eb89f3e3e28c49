"""Checkpoints: our safetensors files with a header, and the safe conversion of the authors' training files."""

from pasco_core.checkpoints.checkpoint_file import Checkpoint, load_checkpoint, save_checkpoint
from pasco_core.checkpoints.conversion import ConversionReport, convert
from pasco_core.checkpoints.header import FORMAT_VERSION, CheckpointHeader
from pasco_core.checkpoints.training_file import TrainingFile, read_training_file

__all__ = [
    "FORMAT_VERSION",
    "Checkpoint",
    "CheckpointHeader",
    "ConversionReport",
    "TrainingFile",
    "convert",
    "load_checkpoint",
    "read_training_file",
    "save_checkpoint",
]
