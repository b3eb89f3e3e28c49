"""Scenes of many frames put together: a rolling grid that remembers, and things that keep their number."""

from pasco_core.fusion.config import FusionConfig
from pasco_core.fusion.observation import Observation, SeenThing
from pasco_core.fusion.scene_fusion import FusedScene, SceneFusion
from pasco_core.fusion.tracks import Track

__all__ = ["FusedScene", "FusionConfig", "Observation", "SceneFusion", "SeenThing", "Track"]
