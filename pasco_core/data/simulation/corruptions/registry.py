"""Every corruption by name: the one function that most users need."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pasco_core.data.simulation.corruptions.beam_missing import corrupt_beam_missing
from pasco_core.data.simulation.corruptions.corrupted import Corrupted, checked
from pasco_core.data.simulation.corruptions.cross_sensor import corrupt_cross_sensor
from pasco_core.data.simulation.corruptions.crosstalk import corrupt_crosstalk
from pasco_core.data.simulation.corruptions.fog import corrupt_fog
from pasco_core.data.simulation.corruptions.incomplete_echo import corrupt_incomplete_echo
from pasco_core.data.simulation.corruptions.levels import LEVELS, PARAMETERS
from pasco_core.data.simulation.corruptions.motion_blur import corrupt_motion_blur
from pasco_core.data.simulation.corruptions.snow import corrupt_snow
from pasco_core.data.simulation.corruptions.wet_ground import corrupt_wet_ground
from pasco_core.errors import CloudError, ConfigError

_FUNCTIONS: dict[str, Callable[..., Corrupted]] = {
    "fog": corrupt_fog,
    "wet_ground": corrupt_wet_ground,
    "snow": corrupt_snow,
    "motion_blur": corrupt_motion_blur,
    "beam_missing": corrupt_beam_missing,
    "crosstalk": corrupt_crosstalk,
    "incomplete_echo": corrupt_incomplete_echo,
    "cross_sensor": corrupt_cross_sensor,
}
CORRUPTIONS = tuple(_FUNCTIONS)
"""Names, in Robo3D's order: weather, disturbances from outside, failures of the sensor."""


def corrupt(
    points: np.ndarray, name: str, level: str, seed: int | Sequence[int], things: np.ndarray | None = None
) -> Corrupted:
    """A scan as the sensor would have seen it under one of Robo3D's corruptions (Kong et al. 2023, section 3).

    The same arguments give the same bits. The random numbers do not depend on the level, so that a heavier level of the
    same seed is the same weather, only more of it.
    Only rays that returned something can change: a KITTI scan does not say where the others (the sky) pointed.

    Args:
        points: (N, 4) float32, x y z in metres in the LiDAR frame and intensity 0 to 1, in KITTI's order (beam by beam)
            where beams matter.
        name: one of ``CORRUPTIONS``.
        level: one of ``LEVELS``; what it means is in ``levels.PARAMETERS``.
        seed: from 0; for a frame of a dataset, its ``frame_seed``.
        things: (N,) bool, points of vehicles and people, for ``incomplete_echo``; by default judged by intensity.

    Raises:
        ConfigError: an unknown name or level, a negative seed.
        CloudError: ``LAYOUT``, ``EMPTY``, ``NOT_FINITE`` or ``INTENSITY`` for points that are not such a cloud.

    >>> cloud = np.array([[5.0, 0.0, -1.0, 0.3], [40.0, 3.0, 0.0, 0.2]], np.float32)
    >>> corrupt(cloud, "fog", "heavy", seed=1).source.tolist()
    [0]
    """
    check_choice(name, level)
    points = checked(points)
    rng = np.random.default_rng([*_words(seed), CORRUPTIONS.index(name)])
    parameters = PARAMETERS[name][LEVELS.index(level)]
    if name != "incomplete_echo" or things is None:
        return _FUNCTIONS[name](points, parameters, rng)
    things = np.asarray(things)
    if things.shape != (len(points),) or things.dtype != bool:
        raise CloudError(f"Expected things to be bool ({len(points)},), got {things.dtype} {things.shape}", "LAYOUT")
    return _FUNCTIONS[name](points, parameters, rng, things)


def check_choice(name: str, level: str) -> None:
    """Refuses names that are not in ``CORRUPTIONS`` and ``LEVELS``.

    Raises:
        ConfigError: the message lists what there is.
    """
    if name not in _FUNCTIONS:
        raise ConfigError(f"Expected the corruption to be one of {', '.join(CORRUPTIONS)}, got {name!r}")
    if level not in LEVELS:
        raise ConfigError(f"Expected the level to be one of {', '.join(LEVELS)}, got {level!r}")


def _words(seed: int | Sequence[int]) -> list[int]:
    words = [seed] if isinstance(seed, (int, np.integer)) else list(seed)
    if not words or not all(isinstance(word, (int, np.integer)) and word >= 0 for word in words):
        raise ConfigError(f"Expected the seed to be whole numbers from 0, got {seed!r}")
    return [int(word) for word in words]
