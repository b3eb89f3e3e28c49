"""How often each class occurs in the published training targets, from which the published loss weights were made."""

from __future__ import annotations

import numpy as np

from pasco_core.data.label_set import KITTI_360, SEMANTIC_KITTI, LabelSet
from pasco_core.errors import ConfigError

# Voxels or blocks per class, class 0 ("empty") first. At strides 2 and 4 they were counted with empty and unknown
# blocks swapped (see target_scales), so entry 0 there is the number of unknown blocks.
_FREQUENCIES: dict[str, dict[int, tuple[float, ...]]] = {
    SEMANTIC_KITTI.name: {
        1: (5.4226e9, 1.5640e7, 1.1710e5, 1.1879e5, 6.0278e5, 8.3570e5, 2.6682e5, 2.6566e5, 1.6459e5, 6.1145e7,
            4.2558e6, 4.4079e7, 2.5098e6, 5.6889e7, 1.5568e7, 1.5888e8, 2.0582e6, 3.7056e7, 1.1631e6, 3.3958e5),
        2: (2.2871e8, 3.8447e6, 2.7456e4, 2.7629e4, 1.3372e5, 2.0355e5, 6.0825e4, 6.4621e4, 4.5209e4, 1.3355e7,
            9.3588e5, 1.0121e7, 6.4508e5, 1.4682e7, 3.4279e6, 3.7339e7, 4.9653e5, 8.3823e6, 3.1972e5, 9.3521e4),
        4: (2.1103e7, 8.5094e5, 5.5210e3, 6.3270e3, 2.8673e4, 4.5410e4, 1.4061e4, 1.4023e4, 1.0599e4, 2.8025e6,
            2.0268e5, 2.2306e6, 1.6008e5, 3.9068e6, 7.5475e5, 8.5634e6, 1.2573e5, 1.9244e6, 9.7388e4, 3.0642e4),
    },
    KITTI_360.name: {
        1: (2264087502, 20098728, 104972, 96297, 1149426, 4051087, 125103, 105540713, 16292249, 45297267, 14454132,
            110397082, 6766219, 295883213, 50037503, 1561069, 406330, 30516166, 1950115),
        2: (1648700309, 4738149, 25988, 24313, 280462, 984297, 33727, 24807231, 4309489, 10693629, 4025486, 29825455,
            1648037, 77637495, 12865639, 443676, 116094, 7184544, 481844),
        4: (180561625, 1095918, 6042, 6084, 66599, 238732, 9490, 5895526, 1105257, 2618018, 1076064, 7925164, 397552,
            18942509, 3306364, 135436, 39270, 1804354, 131580),
    },
}


def published_frequencies(labels: LabelSet) -> dict[int, np.ndarray]:
    """Stride 1, 2, 4 → (classes,) float64, voxels or blocks per class in the published training targets.

    At strides 2 and 4 entry 0 counts unknown blocks: the published targets have empty and unknown swapped there.

    Raises:
        ConfigError: nothing was published for these classes.
    """
    if labels.name not in _FREQUENCIES:
        raise ConfigError(f"Expected the label set to be one of {', '.join(_FREQUENCIES)}, got {labels.name}")
    return {stride: np.array(counts, np.float64) for stride, counts in _FREQUENCIES[labels.name].items()}
