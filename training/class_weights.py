"""How much each class counts in the losses of an experiment, by stride."""

from __future__ import annotations

from torch import Tensor

from pasco_core.data.datasets.published_frequencies import published_frequencies
from pasco_core.losses import inverse_frequency_weights
from pasco_core.systems.pasco.config import STRIDES
from training.config import Experiment


def class_weights(experiment: Experiment) -> dict[int, Tensor]:
    """Stride 4, 2, 1 → (classes,) float32, from the published frequencies of the experiment's classes.

    Raises:
        ConfigError: no frequencies were published for these classes.
    """
    frequencies, exponent = published_frequencies(experiment.labels), experiment.targets.class_weight_exponent
    return {stride: inverse_frequency_weights(frequencies[stride].tolist(), exponent) for stride in STRIDES}
