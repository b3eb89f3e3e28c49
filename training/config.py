"""An experiment: everything that decides a training, in one typed and checked place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI, LabelSet
from pasco_core.errors import ConfigError
from pasco_core.systems.pasco import PaSCoConfig
from pasco_core.systems.pasco.losses import LossConfig
from pasco_core.systems.pasco.point_inputs import GEOMETRIC_CHANNELS
from pasco_core.systems.pasco.voxel_selection import VoxelLimits
from pasco_core.yaml_file import read_yaml
from training.yaml_config import build, plain, with_setting

LABELS: dict[str, LabelSet] = {"semantic_kitti": SEMANTIC_KITTI, "kitti_360": KITTI_360}
SCHEDULES = ("constant", "step", "cosine", "one_cycle")
PRECISIONS = ("32", "bf16", "fp16")
SCAN_CHANGES = ("mirror", "intensity_changes", "intensity_hidden", "corruptions")
RECIPES = Path(__file__).resolve().parent.parent / "config" / "training"


@dataclass(frozen=True)
class DataConfig:
    """What is learnt from.

    Args:
        root: dataset folder; ``--data`` sets it.
        truth_root: another folder of the same layout in which labels are looked up first; "" for none.
        labels: classes and published class frequencies: semantic_kitti or kitti_360.
        train_split, val_split: of the dataset; "" with sequences of one's own.
        train_sequences, val_sequences: instead of the splits' ones.
        train_share: share of the training frames in one epoch, drawn anew for each, above 0 to 1.
        rare_class_share: frames with a class that is in a smaller share of the training frames are drawn more often,
            by the square root of how much smaller (``repeat_factors``); 0: every frame comes once per epoch.
        val_frames: at most so many validation frames, evenly spread; 0: all.
        workers: loader processes per device; 0: in the training process.
        features: WaffleIron checkpoint, for networks that read its point features; validation needs it in any case.
        feature_cache: folder from which training takes them instead, as ``training.features`` writes them; "" for none.
    """

    root: str = ""
    truth_root: str = ""
    labels: str = "semantic_kitti"
    train_split: str = "train"
    val_split: str = "val"
    train_sequences: tuple[str, ...] = ()
    val_sequences: tuple[str, ...] = ()
    train_share: float = 1.0
    rare_class_share: float = 0.0
    val_frames: int = 0
    workers: int = 3
    features: str = ""
    feature_cache: str = ""

    def __post_init__(self) -> None:
        _choice("labels", self.labels, LABELS)
        _range("train_share", self.train_share, 0, 1, above=True)
        _range("rare_class_share", self.rare_class_share, 0, 1)
        _range("val_frames", self.val_frames, 0)
        _range("workers", self.workers, 0, 256)


@dataclass(frozen=True)
class AugmentationConfig:
    """How each subnet's view of a scan differs (spec of the views: ``random_transforms``).

    Args:
        max_angle: yaw is uniform in ± this many degrees.
        max_shift: shift is uniform in ±(1.5, 1.5, 1) times this, in metres.
        crop: share of the known area's length in x and y that a random crop keeps; 1: no crop.
        focus: share of the crops that lie around some voxel of a class, drawn evenly from those in the frame, so that
            rare classes are seen more often (as foreground oversampling does in nnU-Net); the rest lies anywhere.
        point_dropout: share of the input points that is left out at random.
        same_scan: share of the items in which all subnets see the same scan, as they do in inference, instead of
            different ones; helps small networks (input repetition, Havasi et al., ICLR 2021). Published: 0.
        fixed_views: the deterministic views of inference instead of random ones, for overfitting tests.
        mirror: share of the scans in which left and right are exchanged.
        intensity_changes: share of the scans whose intensities are those of another sensor and other materials.
        intensity_hidden: share of the scans without intensities: all are 0.
        corruptions: share of the scans under one of ``pasco_core.data.simulation.corruptions``, at any of its levels.
    """

    max_angle: float = 30.0
    max_shift: float = 0.2
    crop: float = 1.0
    focus: float = 0.0
    point_dropout: float = 0.0
    same_scan: float = 0.0
    fixed_views: bool = False
    mirror: float = 0.0
    intensity_changes: float = 0.0
    intensity_hidden: float = 0.0
    corruptions: float = 0.0

    def __post_init__(self) -> None:
        _range("max_angle", self.max_angle, 0, 180)
        _range("max_shift", self.max_shift, 0)
        _range("crop", self.crop, 0, 1, above=True)
        _range("focus", self.focus, 0, 1)
        _range("point_dropout", self.point_dropout, 0, 0.99)
        _range("same_scan", self.same_scan, 0, 1)
        for name in SCAN_CHANGES:
            _range(name, getattr(self, name), 0, 1)

    @property
    def changes_scans(self) -> bool:
        """Whether scans may differ from those on disk in more than the view of them."""
        return any(getattr(self, name) > 0 for name in SCAN_CHANGES)


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW.

    Args:
        learning_rate: its peak.
        weight_decay: decoupled; not on biases, norms and queries.
        gradient_clip: largest norm of the gradient; 0: no limit.
        accumulate: items per step and device.
    """

    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    gradient_clip: float = 0.5
    accumulate: int = 1

    def __post_init__(self) -> None:
        _range("learning_rate", self.learning_rate, 0, above=True)
        _range("weight_decay", self.weight_decay, 0)
        _range("gradient_clip", self.gradient_clip, 0)
        _range("accumulate", self.accumulate, 1)


@dataclass(frozen=True)
class ScheduleConfig:
    """How long, and the learning rate over it.

    Args:
        kind: constant; step (times ``factor`` from step ``step_at`` on); cosine (to ``factor`` at the end); one_cycle
            (up to the peak over ``warmup`` steps from a 25th of it, then cosine to ``factor``).
        epochs: passes over the data.
        max_steps: ends earlier; 0: no limit.
        step_at, factor: see kind.
        warmup: steps of linear increase at the beginning, for every kind.
    """

    kind: str = "step"
    epochs: int = 60
    max_steps: int = 0
    step_at: int = 60_000
    factor: float = 0.1
    warmup: int = 0

    def __post_init__(self) -> None:
        _choice("kind", self.kind, SCHEDULES)
        _range("epochs", self.epochs, 1)
        _range("max_steps", self.max_steps, 0)
        _range("step_at", self.step_at, 1)
        _range("factor", self.factor, 0, 1)
        _range("warmup", self.warmup, 0)


@dataclass(frozen=True)
class TargetConfig:
    """What the truth looks like, and how long only completion is trained.

    Args:
        completion_only_epochs: the first epochs without mask losses (published: 1 for three subnets, 2 for four).
        class_weight_exponent: weight of a class = (largest frequency / its frequency) to this power.
        swapped_coarse_empty: the published targets have empty and unknown exchanged at strides 2 and 4.
        keep_truth: truth voxels go on through the decoder even where the network calls them empty.
        empty_prior: bias of class "empty" in new completion heads, so that a fresh network starts with few voxels.
    """

    completion_only_epochs: int = 0
    class_weight_exponent: float = 1 / 3
    swapped_coarse_empty: bool = False
    keep_truth: bool = True
    empty_prior: float = 3.0

    def __post_init__(self) -> None:
        _range("completion_only_epochs", self.completion_only_epochs, 0)
        _range("class_weight_exponent", self.class_weight_exponent, 0, 1)


@dataclass(frozen=True)
class ValidationConfig:
    """When the network is measured, and by what the best one is chosen.

    Args:
        every_n_epochs: validation after every so many epochs.
        monitor: PQ_dagger, PQ, mIoU or IoU of the ensemble.
        checkpoint_every: steps between checkpoints to resume from.
    """

    every_n_epochs: int = 1
    monitor: str = "PQ_dagger"
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        _range("every_n_epochs", self.every_n_epochs, 1)
        _range("checkpoint_every", self.checkpoint_every, 1)


@dataclass(frozen=True)
class LogConfig:
    """What is written down on the way.

    Args:
        every: steps between entries.
        tensorboard: TensorBoard events besides CSV.
    """

    every: int = 10
    tensorboard: bool = False

    def __post_init__(self) -> None:
        _range("every", self.every, 1)


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a training.

    Args:
        name: of the experiment, part of the default output folder.
        network: variant of PaSCo.
        data, augmentation, optimiser, schedule, losses, targets, limits, validation, log: see their classes.
        ema_decay: of the moving average of the weights that is validated and exported; 0: none.
        precision: 32, bf16 or fp16 (the latter on CUDA only); the dense bottleneck runs in it, the rest in 32 bits.
        seed: of everything random.
    """

    name: str
    network: PaSCoConfig = field(default_factory=PaSCoConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    targets: TargetConfig = field(default_factory=TargetConfig)
    limits: VoxelLimits = field(default_factory=VoxelLimits)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    log: LogConfig = field(default_factory=LogConfig)
    ema_decay: float = 0.0
    precision: str = "32"
    seed: int = 0

    def __post_init__(self) -> None:
        n_classes = self.labels.n_classes
        if self.network.n_classes != n_classes:
            raise ConfigError(
                f"Expected network.n_classes to be {n_classes}, as data.labels {self.data.labels} has, "
                f"got {self.network.n_classes}"
            )
        reads_features = self.network.in_channels > GEOMETRIC_CHANNELS
        if not reads_features and (self.data.features or self.data.feature_cache):
            raise ConfigError(
                f"Expected network.in_channels to be more than {GEOMETRIC_CHANNELS} with data.features or "
                f"data.feature_cache, got {self.network.in_channels}"
            )
        if self.data.feature_cache and self.augmentation.changes_scans:
            given = ", ".join(f"{name} {getattr(self.augmentation, name)}" for name in SCAN_CHANGES)
            raise ConfigError(
                "Expected augmentation to leave scans unchanged with stored features (data.feature_cache), which are "
                f"those of the scans on disk, got {given}; without the cache data.features makes them in each step"
            )
        _choice("precision", self.precision, PRECISIONS)
        _range("ema_decay", self.ema_decay, 0, 0.999999)
        _range("seed", self.seed, 0, 2**32 - 1)

    @property
    def labels(self) -> LabelSet:
        return LABELS[self.data.labels]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return plain(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Experiment:
        """The inverse of ``to_dict``.

        Raises:
            ConfigError: an unknown key, a wrong type or a value out of range; the setting is named.
        """
        return build(cls, values)


def read_experiment(source: str | Path, settings: Sequence[str] = ()) -> Experiment:
    """An experiment file, or one of the recipes in ``config/training`` by its bare name, with settings changed.

    Args:
        source: path, or a name such as ``small``.
        settings: ``key=value`` each, such as ``optimiser.learning_rate=3e-4``.

    Raises:
        ConfigError: no such file or recipe, or one that breaks a rule; file and setting are named.
    """
    path = Path(source)
    if not path.exists() and path.suffix == "" and path.parent == Path():
        recipe = RECIPES / f"{path}.yaml"
        if not recipe.exists():
            known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml")))
            raise ConfigError(f"Expected the experiment to be a YAML file or one of {known}, got {str(source)!r}")
        path = recipe
    values = {"name": path.stem, **read_yaml(path)}
    changed = _with_settings(values, settings)
    try:
        return Experiment.from_dict(changed)
    except ConfigError as error:
        guilty = _guilty(values, settings)
        text = str(error)
        if len(guilty) == 1:  # whose group needs no second mention
            text = text.removeprefix(guilty[0].partition("=")[0].strip().rpartition(".")[0] + ": ")
        blamed = " ".join(f"--set {one}" for one in guilty) or path
        raise ConfigError(f"{blamed}: {text}") from error


def _with_settings(values: dict[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    for assignment in settings:
        values = with_setting(values, assignment)
    return values


def _guilty(values: dict[str, Any], settings: Sequence[str]) -> list[str]:
    """The settings without any one of which the experiment would be right, else those that alone make it wrong.

    None where the file is wrong by itself.
    """

    def is_right(chosen: Sequence[str]) -> bool:
        try:
            Experiment.from_dict(_with_settings(values, chosen))
        except ConfigError:
            return False
        return True

    guilty = [one for i, one in enumerate(settings) if is_right([*settings[:i], *settings[i + 1 :]])]
    if not guilty and is_right([]):
        guilty = [one for one in settings if not is_right([one])]
    return guilty


def _choice(name: str, value: str, choices: Sequence[str] | Mapping[str, Any]) -> None:
    if value not in choices:
        raise ConfigError(f"Expected {name} to be one of {', '.join(choices)}, got {value!r}")


def _range(name: str, value: float, low: float, high: float = float("inf"), *, above: bool = False) -> None:
    if not (low < value <= high if above else low <= value <= high):
        rule = (f"above {low}" if above else f"from {low}") + (f" to {high}" if high < float("inf") else "")
        raise ConfigError(f"Expected {name} to be {rule}, got {value}")
