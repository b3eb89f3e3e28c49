"""Simulated LiDAR scans of a drive down a procedural street."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pasco_core.data.simulation.furniture import CLASS
from pasco_core.data.simulation.ray_casting import Hits, cast
from pasco_core.data.simulation.sensor import HDL_64E, SpinningLidar
from pasco_core.data.simulation.solids import Shape, Solid
from pasco_core.data.simulation.street import Street
from pasco_core.errors import ConfigError

FRAME_RATE = 10.0  # scans per second
_OWN_CAR = -1
_GROUND_REFLECTIVITY = {"road": 0.27, "parking": 0.3, "sidewalk": 0.34, "terrain": 0.38}
_GRASS = 0.025  # metres: roughness of terrain


@dataclass(frozen=True)
class LabelledScan:
    """A simulated scan with what each point belongs to.

    Args:
        points: (N, 4) float32, x y z in metres in the LiDAR frame and intensity 0 to 0.99.
        semantics: (N,) uint8, class of ``SEMANTIC_KITTI``.
        instances: (N,) int32, number of the object, the same in every frame; 0 where the class is not a thing.
    """

    points: np.ndarray
    semantics: np.ndarray
    instances: np.ndarray


def street_scan(frame: int, seed: int = 0, sensor: SpinningLidar = HDL_64E) -> np.ndarray:
    """One scan of a drive at 10 m/s down a street with cars, people, houses and trees, ten scans per second.

    Args:
        frame: number of the scan, from 0; the time is frame / 10 s.
        seed: chooses the street.
        sensor: what scans it.

    Returns:
        (N, 4) float32, x y z in metres in the LiDAR frame (REP-103), intensity 0 to 0.99; beam by beam from the top,
        counter-clockwise from forward within a beam. The same arguments give the same bits.

    Raises:
        ConfigError: ``frame`` or ``seed`` is not a whole number from 0.
    """
    return labelled_street_scan(frame, seed, sensor).points


def labelled_street_scan(frame: int, seed: int = 0, sensor: SpinningLidar = HDL_64E) -> LabelledScan:
    """As ``street_scan``, with the class and the instance of every point."""
    for name, value in (("frame", frame), ("seed", seed)):
        if not isinstance(value, (int, np.integer)) or value < 0:
            raise ConfigError(f"Expected {name} to be a whole number from 0, got {value!r}")
    street = Street(seed)
    time = frame / FRAME_RATE
    pose = street.ego_pose(time)
    rng = np.random.default_rng([seed, frame, 2000])
    directions = sensor.directions()
    turned = _turn(directions, pose.yaw)
    origin = np.array([pose.x, pose.y, sensor.height])
    solids = street.solids(pose.x, sensor.max_range, time) + _own_car(pose.x, pose.y, pose.yaw, sensor.height)
    hits = cast(solids, street.ground, origin, turned, sensor.max_range, rng)
    surface = _Surface(solids, street, hits, origin, turned)
    distance, intensity, returned = _returns(surface, hits, sensor, rng)
    xyz = (directions * distance)[:, returned].T
    points = np.concatenate([xyz, intensity[returned][:, None]], axis=1).astype(np.float32)
    return LabelledScan(points, surface.category[returned].astype(np.uint8), surface.instance[returned])


class _Surface:
    """What the rays met: arrays (beams, azimuths) of category, instance and reflectivity."""

    def __init__(self, solids: list[Solid], street: Street, hits: Hits, origin: np.ndarray, directions: np.ndarray):
        index = np.maximum(hits.solid, 0)
        self.category = np.array([s.category for s in solids], np.int16)[index]
        self.instance = np.array([s.instance for s in solids], np.int32)[index]
        self.reflectivity = np.array([s.reflectivity for s in solids])[index]
        ground = hits.on_ground
        x, y = (origin[i] + directions[i][ground] * hits.distance[ground] for i in range(2))
        category = np.asarray(street.ground.categories)[street.ground.strip_at(x, y)]
        category[hits.kerb[ground]] = CLASS["sidewalk"]
        by_class = np.zeros(len(CLASS))
        for name, value in _GROUND_REFLECTIVITY.items():
            by_class[CLASS[name]] = value
        self.category[ground], self.instance[ground] = category, 0
        self.reflectivity[ground] = by_class[category]


def _returns(
    surface: _Surface, hits: Hits, sensor: SpinningLidar, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measured distance, intensity and whether there is a return, each (beams, azimuths)."""
    size = hits.distance.shape
    distance = np.where(np.isfinite(hits.distance), hits.distance, 0.0)
    grass = surface.category == CLASS["terrain"]
    cosine = np.clip(hits.cosine, np.where(grass, 0.15, 0.0), 1.0)  # blades of grass face the sensor
    echo = surface.reflectivity * _echo_share(distance, cosine)
    intensity = np.clip(echo * rng.normal(1.0, 0.22, size) + rng.normal(0.0, 0.06, size), 0.0, 0.99).round(2)
    noise = rng.normal(0.0, 1.0, size) * np.where(grass, np.hypot(sensor.range_noise, _GRASS), sensor.range_noise)
    faint = np.clip(1.0 - echo / 0.05, 0.0, 1.0)
    lost = rng.random(size) < sensor.dropout + 0.3 * faint + 0.55 * hits.window
    returned = (hits.solid != -1) & (distance < sensor.max_range) & (surface.category != _OWN_CAR) & ~lost
    return distance + noise, intensity, returned


def _echo_share(distance: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """Share of a surface's reflectivity that shows as intensity.

    The sensor evens out the fall of the echo with distance until the echo gets faint: in KITTI the road keeps its
    intensity up to about 20 m and has next to none beyond 30 m, where walls still have two thirds of theirs.
    """
    range_fall = np.maximum(distance, 1.0)
    signal = cosine * (30.0 / range_fall) ** 2
    return cosine**0.1 * (1.0 - np.exp(-((signal / 0.09) ** 2))) * np.minimum(1.0, (25.0 / range_fall) ** 0.7)


def _own_car(x: float, y: float, yaw: float, sensor_height: float) -> list[Solid]:
    """The carrier of the sensor under it: what it hides is not returned."""
    c, s = np.cos(yaw), np.sin(yaw)
    solids = []
    for ahead, half in ((-0.9, (0.45, 0.5, 0.05)), (0.85, (0.32, 0.36, 0.05))):
        centre = (x + c * ahead, y + s * ahead, sensor_height - 0.45)
        solids.append(Solid(Shape.BOX, centre, half, yaw, category=_OWN_CAR))
    return solids


def _turn(directions: np.ndarray, yaw: float) -> np.ndarray:
    c, s = np.cos(yaw), np.sin(yaw)
    x, y, z = directions
    return np.stack([c * x - s * y, s * x + c * y, z])
