"""What a spinning LiDAR measures of a scene: points with intensity, class and instance, and what it misses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.data.simulation.materials import MATERIALS
from pasco_core.data.simulation.sensing.beam_tables import SpinningLidar
from pasco_core.data.simulation.sensing.rays import Hits
from pasco_core.data.simulation.sensing.sweep import Shots
from pasco_core.data.simulation.sensing.texture import pattern

STANDING, MOVING, OWN_CAR = 0, 1, 2
"""Which scene is which among those that a LiDAR looks at."""
OWN_CAR_BELOW = 0.18
"""Metres by which the own car is lower where the sensor stands than where it is drawn: KITTI's roof with the rack on it
hides the road only up to 4.6 m ahead and 6 m behind."""

_REFLECTIVITY = np.array([m.reflectivity for m in MATERIALS], np.float32)
_RETROREFLECTIVE = np.array([m.retroreflective for m in MATERIALS])
_POLISHED = np.array([m.name.endswith("paint") and m.name != "lane paint" for m in MATERIALS])
_GAIN = np.float32(1.12)
_SIGN = np.float32(0.5)  # share of its reflectivity that a sign shows: the sensor turns its power down for it
_TEXTURE, _GRAINS = 0.3, ((0.5, 0.35), (3.0, 0.65))  # how much intensity varies with the place, and over what sizes
_ROUGHNESS = np.array([m.roughness for m in MATERIALS], np.float32)
_IS_THING = np.isin(np.arange(256), list(SEMANTIC_KITTI.thing_ids))


@dataclass(frozen=True)
class LabelledScan:
    """A simulated scan with what each point belongs to.

    Args:
        points: (N, 4) float32, x y z in metres in the LiDAR frame and intensity 0 to 0.99.
        semantics: (N,) uint8, class of ``SEMANTIC_KITTI``.
        instances: (N,) int32, number of the object, the same in every frame; 0 where the class is not a thing.
        moving: (N,) bool, whether the object belongs to the traffic, which moves.
        times: (N,) float32, seconds after the scan's time at which the point was measured.
        beams: (N,) uint16, number of the beam that measured it, 0 at the top.
    """

    points: np.ndarray
    semantics: np.ndarray
    instances: np.ndarray
    moving: np.ndarray
    times: np.ndarray
    beams: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


def measure(hits: Hits, shots: Shots, sensor: SpinningLidar, rng: np.random.Generator) -> LabelledScan:
    """Points of a turn, each in the frame of the sensor when it fired, in the order of the shots.

    Args:
        hits: what the shots met in scenes of the order ``STANDING``, ``MOVING``, ``OWN_CAR``; what the own car hides
            does not come back.
        shots: the rays.
        sensor: whose noise, dropouts and reach apply.
        rng: decides about noise and dropouts.
    """
    distance, intensity, returned = _returns(hits, shots, sensor, rng)
    kept = np.flatnonzero(returned)
    xyz = shots.local[kept] * distance[kept, None]
    semantics = hits.category[kept]
    instances = np.where(_IS_THING[semantics], hits.instance[kept], 0)
    return LabelledScan(
        np.concatenate([xyz, intensity[kept, None]], axis=1).astype(np.float32),
        semantics, instances, hits.scene[kept] == MOVING, shots.times[kept],
        (kept // sensor.n_azimuths).astype(np.uint16),
    )


def _returns(
    hits: Hits, shots: Shots, sensor: SpinningLidar, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measured distance, intensity and whether there is a return, each (N,)."""
    n = len(shots.directions)
    distance = np.where(hits.met, hits.distance, np.float32(0.0))
    roughness = _ROUGHNESS[hits.material]
    cosine = np.abs(np.einsum("ni,ni->n", hits.normal, shots.directions))
    cosine = np.where(roughness > 0, np.maximum(cosine, 0.15), cosine)  # some blades and leaves face the sensor
    places = shots.origins + shots.directions * distance[:, None].astype(np.float64)
    echo = _GAIN * _REFLECTIVITY[hits.material] * _echo_share(distance, cosine, hits.material)
    echo = echo * (1.0 + np.float32(_TEXTURE) * pattern(places, _GRAINS))
    speckle, grain, jitter = rng.standard_normal((3, n), np.float32)
    bias, gain = (np.repeat(x, sensor.n_azimuths) for x in sensor.beam_characters())
    level = np.where(echo > 0.02, echo + gain, echo)
    uneven = (roughness > 0) | _RETROREFLECTIVE[hits.material]
    speckle *= np.where(uneven, np.float32(0.22), np.float32(0.09))
    intensity = np.clip(level * (1.0 + speckle) + np.float32(0.02) * grain, 0.0, 0.99).round(2)
    spread = np.hypot(np.float32(sensor.range_noise), np.where(sensor.range_noise > 0, roughness, 0.0))
    faint = np.clip(1.0 - echo / 0.05, 0.0, 1.0)
    lost = rng.random(n, np.float32) < sensor.dropout + 0.3 * faint
    returned = hits.met & (hits.scene != OWN_CAR) & (distance < sensor.max_range) & ~lost
    return distance + jitter * spread + np.float32(sensor.range_noise) * bias, intensity, returned


def _echo_share(distance: np.ndarray, cosine: np.ndarray, material: np.ndarray) -> np.ndarray:
    """Share of a surface's reflectivity that shows as intensity.

    The sensor evens out the fall of the echo with distance until the echo gets faint: in KITTI the road keeps its
    intensity up to about 20 m and has next to none beyond 30 m, where walls still have two thirds of theirs. What
    throws the light back to where it came from is bright at any angle and distance; polished surfaces throw it away.
    """
    range_fall = np.maximum(distance, np.float32(1.0))
    signal = cosine * (34.0 / range_fall) ** 2
    share = cosine**0.1 * (1.0 - np.exp(-((signal / 0.09) ** 2))) * np.minimum(1.0, (25.0 / range_fall) ** 1.3)
    share = np.where(_POLISHED[material], share * (0.3 + 0.7 * cosine**4), share)
    return np.where(_RETROREFLECTIVE[material], _SIGN, share)
