"""Every parameter of the node panoptic_scene_completion: the groups, put together."""

from __future__ import annotations

from dataclasses import dataclass

from pasco_core.settings.deadline_settings import DeadlineSettings
from pasco_core.settings.frame_settings import FrameSettings
from pasco_core.settings.input_settings import InputSettings
from pasco_core.settings.model_settings import ModelSettings
from pasco_core.settings.output_settings import OutputSettings
from pasco_core.settings.sensor_settings import SensorSettings
from pasco_core.settings.start_settings import StartSettings

NODE_NAME = "panoptic_scene_completion"

GROUPS = (StartSettings, ModelSettings, InputSettings, SensorSettings, FrameSettings, DeadlineSettings, OutputSettings)
"""The groups of parameters, in the order in which documents list them; base classes stand in reverse."""


@dataclass(frozen=True)
class NodeConfig(
    OutputSettings, DeadlineSettings, FrameSettings, SensorSettings, InputSettings, ModelSettings, StartSettings
):
    """Every parameter of the node; the name of a field is the name of the parameter."""
