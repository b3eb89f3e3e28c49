"""Points in, completed scene out: the one class most users need."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch

from pasco_core import shipped
from pasco_core.checkpoints import load_checkpoint
from pasco_core.data.label_set import label_set_for
from pasco_core.data.point_cloud import checked_points
from pasco_core.device import usable_device
from pasco_core.errors import ConfigError
from pasco_core.geometry import KITTI_GRID
from pasco_core.prediction import ScenePrediction
from pasco_core.systems import waffleiron
from pasco_core.systems.pasco.config import PaSCoConfig
from pasco_core.systems.pasco.effort import Box, Effort, inside_box
from pasco_core.systems.pasco.ensemble import EnsembleResult, MaskScene, SemanticScene, ensemble
from pasco_core.systems.pasco.feature_network import feature_network
from pasco_core.systems.pasco.network import PaSCo
from pasco_core.systems.pasco.panoptic import PanopticScene, PanopticThresholds, panoptic_inference
from pasco_core.systems.pasco.point_inputs import (
    GEOMETRIC_CHANNELS,
    PointInputs,
    point_inputs,
    select_points,
    subnet_voxels,
)
from pasco_core.systems.pasco.scene import make_scene, unobserved_scene
from pasco_core.systems.pasco.semantic_segments import segments_from_semantics
from pasco_core.systems.pasco.transforms import (
    GridWarp,
    check_transforms,
    fixed_transforms,
    random_near_transforms,
    random_transforms,
)
from pasco_core.systems.pasco.uncertainty import CONFIDENCES, voxel_confidence
from pasco_core.systems.pasco.weights import load_network
from pasco_core.timing import StageTimer

UNTRAINED_NOTE = "untrained random weights: the classes mean nothing"
PathLike: TypeAlias = "str | os.PathLike[str]"


class Predictor:
    """Completes one LiDAR scan at a time; needs no labels and keeps nothing between scans.

    Args:
        checkpoint: a ``.safetensors`` written by ``pasco convert`` or training; or a network in memory. Default: the
            small network that comes with the package, trained on the simulated town alone.
        device: "cpu", "cuda" or "cuda:1".
        transforms: one 4×4 matrix per subnet, or "random" for new ones at every scan, as the published numbers were
            made. Default: ``fixed_transforms`` (n = 1: identity).
        features: WaffleIron checkpoint, for networks that read its point features.
        votes: randomly augmented views WaffleIron averages over; 0: the scan as it is.
        uncertainty: what ``voxel_uncertainty`` is 1 minus of: "max_probability", "entropy" (scaled to 0..1), or
            "agreement" of two or more subnets (their own scenes keep "max_probability").
        iou_threshold: soft IoU above which masks of two subnets match.
        thresholds: of panoptic inference.
        rng: source of everything random.
        clock: seconds, for the timings.

    Raises:
        CheckpointError: a file that is missing, damaged or of another system.
        ConfigError: an unusable device, transform or threshold.

    Example::

        predictor = Predictor("pasco.safetensors")
        scene = predictor(points)  # (N, 4) float32: x y z intensity
        scene.semantics[128, 128, 10]  # class of a voxel
    """

    def __init__(
        self,
        checkpoint: PathLike | PaSCo | None = None,
        device: str = "cpu",
        transforms: Sequence[np.ndarray] | str | None = None,
        *,
        features: PathLike | waffleiron.WaffleIron | None = None,
        votes: int = 0,
        uncertainty: str = "max_probability",
        iou_threshold: float = 0.2,
        thresholds: PanopticThresholds | None = None,
        rng: np.random.Generator | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        if not 0 <= iou_threshold < 1:
            raise ConfigError(f"Expected iou_threshold to be in [0, 1), got {iou_threshold}")
        if not isinstance(votes, int) or votes < 0:
            raise ConfigError(f"Expected votes to be an integer of at least 0, got {votes!r}")
        self.device = usable_device(device)
        weights = shipped.CHECKPOINT if checkpoint is None else checkpoint
        network, self.notes, self.checkpoint_sha256 = _load_network(weights)
        self.network = network.to(self.device).eval()
        self.config: PaSCoConfig = network.config
        self.grid = KITTI_GRID
        self.labels = label_set_for(self.config.n_classes)
        self._uncertainty = self._known_uncertainty(uncertainty)
        self._matrices = self._fixed_matrices(transforms)
        self._fixed_warps: dict[Box | None, list[GridWarp]] = {}
        if self._matrices is not None:
            self._warps_of(self._matrices, None)
        self._features = _load_features(features, self.config, self.device)
        self._votes = votes
        self._iou_threshold = iou_threshold
        self._thresholds = thresholds or PanopticThresholds()
        self._rng = rng or np.random.default_rng(0)
        self._clock = clock

    @classmethod
    def untrained(cls, config: PaSCoConfig | None = None, seed: int = 0, **options: object) -> Predictor:
        """Key-seeded random weights, of the small width by default; every scene's notes say so.

        Args:
            config: variant of the network.
            seed: of the weights.
            options: as for the class.
        """
        from pasco_core.systems.pasco.untrained import SMALL, untrained_network

        predictor = cls(untrained_network(config or SMALL, seed), **options)  # type: ignore[arg-type]
        predictor.notes = (UNTRAINED_NOTE,)
        return predictor

    def __call__(
        self, points: np.ndarray, *, rng: np.random.Generator | None = None, effort: Effort = Effort.FULL
    ) -> ScenePrediction:
        """The scene around the sensor: the ensemble of all subnets.

        Args:
            points: (N, 4) float32, x y z in metres in KITTI's LiDAR frame, and intensity; no labels.
            rng: source of everything random in this call; default: the predictor's own, which goes on from call to
                call. With one per frame the result does not depend on the frames before.
            effort: how much of the scene is computed; less than all is said in the scene's notes.

        Raises:
            CloudError: points of another shape, or not finite.
            InferenceError: the network's output is not finite.
        """
        return self._predict(points, rng or self._rng, effort, subnets=False)[-1]

    def predict_all(self, points: np.ndarray, *, rng: np.random.Generator | None = None) -> list[ScenePrediction]:
        """Every subnet's own scene, then the ensemble's; arguments and errors as for the call."""
        return self._predict(points, rng or self._rng, Effort.FULL, subnets=True)

    @torch.inference_mode()
    def _predict(
        self, points: np.ndarray, rng: np.random.Generator, effort: Effort, subnets: bool
    ) -> list[ScenePrediction]:
        # TF32 would make a GPU's logits differ from the CPU's in the third digit.
        with torch.backends.cudnn.flags(enabled=torch.backends.cudnn.enabled, allow_tf32=False):
            return self._predict_exactly(points, rng, effort, self.config.n_subnets + 1 if subnets else 1)

    def _predict_exactly(
        self, points: np.ndarray, rng: np.random.Generator, effort: Effort, n_scenes: int
    ) -> list[ScenePrediction]:
        timer = StageTimer(self._clock, self.device)
        box = None if effort.max_range is None else effort.box(self.grid)
        less = effort.note(self.config.n_subnets, self.grid)
        with timer("total"):
            points = checked_points(points)
            n_inside = int(self.grid.contains(points[:, :3]).sum())
            notes = self.notes if n_inside in (0, len(points)) else (*self.notes, _range_note(len(points), n_inside))
            notes = (*notes, less) if less else notes
            inputs = self._inputs(points, rng, box, timer) if n_inside else None
            if inputs is None or len(inputs.voxels) == 0:
                where = "in the grid" if box is None else f"within {effort.max_range:g} m"
                note = f"nothing is known: none of {len(points)} points lies {where}"
                scenes = [unobserved_scene(self.grid, self.labels, note)] * n_scenes
            else:
                result = self._infer(inputs, rng, effort, box, timer)
                scenes = self._scenes(result, n_scenes, effort, box, timer)
        return [replace(s, timings=dict(timer.seconds), notes=(*notes, *s.notes)) for s in scenes]

    def _inputs(
        self, points: np.ndarray, rng: np.random.Generator, box: Box | None, timer: StageTimer
    ) -> PointInputs:
        with timer("point features"):
            inputs = point_inputs(points, self.grid, self._point_features(points, rng))
            return inputs if box is None else select_points(inputs, inside_box(inputs.voxels, box))

    def _point_features(
        self, points: np.ndarray, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        if self._features is None:
            return None
        return self._features.point_features(points, self._votes, rng if self._votes else None)

    def _infer(
        self, inputs: PointInputs, rng: np.random.Generator, effort: Effort, box: Box | None, timer: StageTimer
    ) -> EnsembleResult:
        warps = self._warps_of(self._random_matrices(rng) if self._matrices is None else self._matrices, box)
        voxels = subnet_voxels(inputs.voxels, [warp.transform for warp in warps], self.grid)
        features = [inputs.features.to(self.device)] * len(warps)
        box_min = torch.from_numpy(np.stack([warp.box_min for warp in warps])).to(self.device)
        box_max = torch.from_numpy(np.stack([warp.box_max for warp in warps])).to(self.device)
        n_subnets = effort.subnets_of(self.config.n_subnets)
        output = self.network(
            features, [v.to(self.device) for v in voxels], box_min, box_max, timer,
            n_subnets=None if n_subnets == len(warps) else n_subnets,
            instances=effort.instances and self.config.mask_segments,
        )
        with timer("ensemble"):
            return ensemble(output, warps[:n_subnets], self._iou_threshold)

    def _scenes(
        self, result: EnsembleResult, n_scenes: int, effort: Effort, box: Box | None, timer: StageTimer
    ) -> list[ScenePrediction]:
        with timer("panoptic inference"):
            own = "max_probability" if self._uncertainty == "agreement" else self._uncertainty
            alone = len(result.semantics) == 2  # one subnet and its own ensemble, which agree on everything
            ensemble_confidence = voxel_confidence(result.semantics, own if alone else self._uncertainty)
            confidences = [*(voxel_confidence([s], own) for s in result.semantics[:-1]), ensemble_confidence]
            parts = list(zip(result.semantics, result.masks, confidences))[-n_scenes:]
            return [make_scene(s, self._segments(s, m, effort), c, self.grid, self.labels, box) for s, m, c in parts]

    def _segments(self, semantics: SemanticScene, masks: MaskScene, effort: Effort) -> PanopticScene:
        if effort.instances and not self.config.mask_segments:
            return segments_from_semantics(semantics, self.grid, self.labels)
        return panoptic_inference(masks, self.labels.thing_ids, self._thresholds)

    def _known_uncertainty(self, name: str) -> str:
        if name not in CONFIDENCES:
            raise ConfigError(f"Expected uncertainty to be one of {', '.join(CONFIDENCES)}, got {name!r}")
        if name == "agreement" and self.config.n_subnets < 2:
            raise ConfigError("Expected two subnets or more for uncertainty 'agreement', got 1")
        return name

    def _fixed_matrices(self, transforms: Sequence[np.ndarray] | str | None) -> list[np.ndarray] | None:
        n = self.config.n_subnets
        if isinstance(transforms, str):
            if transforms != "random":
                raise ConfigError(f"Expected transforms to be matrices or 'random', got {transforms!r}")
            return None
        if transforms is None:
            return fixed_transforms(n, self.config.mirrored_views)
        return check_transforms(transforms, n)

    def _random_matrices(self, rng: np.random.Generator) -> list[np.ndarray]:
        if self.config.mirrored_views:
            max_angle = 30.0 if self.labels.n_classes == 20 else 10.0  # as published
            return random_transforms(self.config.n_subnets, rng, max_angle)
        return random_near_transforms(self.config.n_subnets, rng, max_angle=10.0, max_shift=0.2)

    def _warps_of(self, matrices: list[np.ndarray], box: Box | None) -> list[GridWarp]:
        """How each subnet sees the box; kept for the whole grid and one box where the matrices are fixed."""
        if box in self._fixed_warps:
            return self._fixed_warps[box]
        warps = [GridWarp.of(matrix, self.grid, box=box).to(self.device) for matrix in matrices]
        if self._matrices is not None:
            self._fixed_warps = {None: self._fixed_warps.get(None, warps), box: warps}
        return warps


def _range_note(n_points: int, n_inside: int) -> str:
    return f"{n_points - n_inside} of {n_points} points out of range"


def _load_network(checkpoint: PathLike | PaSCo) -> tuple[PaSCo, tuple[str, ...], str]:
    """The network, the notes of its checkpoint, and the file's SHA-256 ("" for a network in memory)."""
    if isinstance(checkpoint, PaSCo):
        return checkpoint, (), ""
    loaded = load_checkpoint(checkpoint, "pasco")
    config = PaSCoConfig.from_dict(loaded.header.config)
    # Only weights trained with the original's padding need it: those converted from the authors' files.
    traceless = {name: getattr(config, name) for name in ("n_heads", "mirrored_views", "mask_segments")}
    network = load_network(loaded.state_dict, pad_leak=bool(loaded.header.source_sha256), **traceless)
    return network, tuple(loaded.header.notes), loaded.sha256


def _load_features(
    features: PathLike | waffleiron.WaffleIron | None, config: PaSCoConfig, device: torch.device
) -> waffleiron.WaffleIron | None:
    if config.in_channels == GEOMETRIC_CHANNELS:
        return None
    if features is None:
        raise ConfigError(
            f"Expected a WaffleIron checkpoint, because the network reads {config.in_channels} features per point, "
            "got none (option 'features')"
        )
    return feature_network(features, config.in_channels).to(device).eval()
