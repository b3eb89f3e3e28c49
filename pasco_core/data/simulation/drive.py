"""A drive through the simulated town: every frame's scan, voxel truth and image, in any order, from a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pasco_core.data.frame import VoxelTruth
from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.recent import Recent
from pasco_core.data.simulation.sensing.beam_tables import HDL_64E, SpinningLidar
from pasco_core.data.simulation.sensing.bounded_mesh import BoundedMesh
from pasco_core.data.simulation.sensing.camera import HEIGHT, WIDTH, CameraImage, take_image
from pasco_core.data.simulation.sensing.lidar import OWN_CAR, OWN_CAR_BELOW, LabelledScan, measure
from pasco_core.data.simulation.sensing.rays import Hits, RayScene, hits_through_glass
from pasco_core.data.simulation.sensing.sweep import Shots, slices, still_shots, sweep_shots, to_frame
from pasco_core.data.simulation.truth.places import Places
from pasco_core.data.simulation.truth.seen_voxels import seen_voxels
from pasco_core.data.simulation.truth.sight import Sphere
from pasco_core.data.simulation.truth.voxel_truth import CompleteVoxels, complete_voxels, measured_voxels
from pasco_core.data.simulation.world import TownWorld, World
from pasco_core.errors import ConfigError
from pasco_core.geometry import KITTI_GRID

FRAME_RATE = 10.0  # scans per second
SWEEPS = ("still", "raw", "deskewed")
_TILE = 32.0  # metres: one ray scene of what stands serves all places in a square of this size


class SimulatedDrive:
    """Frames of a drive, ten per second; the same seed and frame give the same bits in any order and process.

    Args:
        seed: chooses the town and the way through it.
        sensor: the LiDAR on the car.
        world: what is driven through; the procedural town of the seed when not given.
        sweep: "still": all beams fire at the frame's time. "raw": the car and the traffic move while the LiDAR turns,
            points are in the sensor's frame when they were measured. "deskewed": they are brought into its frame at the
            frame's time, as KITTI's are.
        beside: another sensor's drive on the same car, with the same reach: what stands is prepared for both at once.

    Raises:
        ConfigError: the seed is not a whole number from 0, an unknown sweep, or embreex is not installed.
    """

    def __init__(
        self, seed: int = 0, sensor: SpinningLidar = HDL_64E, world: World | None = None, sweep: str = "still",
        beside: SimulatedDrive | None = None,
    ):
        if sweep not in SWEEPS:
            raise ConfigError(f"Expected the sweep to be one of {', '.join(SWEEPS)}, got {sweep!r}")
        self.seed, self.sensor, self.sweep = _whole("seed", seed), sensor, sweep
        self._world = TownWorld(self.seed) if world is None else world
        RayScene(Mesh.joined([]))  # says at once whether rays can be cast
        self._tiles: Recent[tuple[int, ...], RayScene] = Recent(3) if beside is None else beside._tiles
        self._bounds: Recent[bytes, BoundedMesh] = Recent(1)
        self._moving: Recent[float, Mesh] = Recent(1)
        self._spheres: Recent[float, Sphere] = Recent(32)
        self._here: Recent[int, np.ndarray] = Recent(1)  # voxels that are seen from where the car is at a frame
        self._points: Recent[int, np.ndarray] = Recent(1)  # (N, 4) of a frame's scan
        self._measured: Recent[int, np.ndarray] = Recent(1)  # the voxels they are in
        self._places = Places(self._pose_at)
        self._own_car = self._world.ego_car()
        self._sun = _sun(np.random.default_rng([self.seed, 3000]))

    def pose(self, frame: int) -> np.ndarray:
        """(4, 4) float64 of the LiDAR in the world at a frame."""
        return self._pose_at(_whole("frame", frame) / FRAME_RATE)

    def scan(self, frame: int) -> LabelledScan:
        """What the LiDAR measures: points beam by beam from the top, counter-clockwise from forward within a beam."""
        scan = self._scan(_whole("frame", frame))
        self._points.get(frame, scan.points.copy)  # the voxels of the same frame are often asked for next
        return scan

    def _scan(self, frame: int) -> LabelledScan:
        pose, time = self.pose(frame), frame / FRAME_RATE
        if self.sweep == "still":
            shots = still_shots(self.sensor, pose)
        else:
            shots = sweep_shots(self.sensor, self._pose_at, time, 1.0 / FRAME_RATE)
        rng = np.random.default_rng([self.seed, frame, 2000])
        scan = measure(self._hits(shots, time, rng), shots, self.sensor, rng)
        if self.sweep != "deskewed":
            return scan
        points = scan.points.copy()
        points[:, :3] = to_frame(points[:, :3], scan.times, self._pose_at, time)
        return replace(scan, points=points)

    def _hits(self, shots: Shots, time: float, rng: np.random.Generator) -> Hits:
        """What the shots meet, through glass, with the traffic where it is when they are fired."""
        chance = rng.random(len(shots.times), np.float32)
        hits = Hits.of_nothing(len(chance))
        for offset, rows in slices(shots):
            scenes = self._scenes(self._pose_at(time + offset), time + offset)
            origins = shots.origins if shots.origins.ndim == 1 else shots.origins[rows]
            hits.put(rows, hits_through_glass(scenes, origins, shots.directions[rows], chance[rows]))
        return hits

    def voxels(self, frame: int, everything: bool = False) -> CompleteVoxels:
        """What is in every voxel of the KITTI grid before the car, and what of it the drive never sees.

        Voxels that hold a point of the frame's scan are seen, through glass and thin leaves too.

        Args:
            frame: number of the frame.
            everything: do not ask what is seen; nothing is unknown then.
        """
        pose = self.pose(frame)
        seen = None if everything else self._seen(frame)
        found = complete_voxels(self._bounded(pose[:2, 3]), self._traffic(pose, frame / FRAME_RATE), pose, seen)
        if everything:
            return found
        return replace(found, unknown=found.unknown & ~self.measured(frame))

    def measured(self, frame: int) -> np.ndarray:
        """Bool of the KITTI grid's shape: voxels that hold a point of the frame's scan; not to be changed."""
        frame = _whole("frame", frame)
        return self._measured.get(
            frame, lambda: measured_voxels(self._points.get(frame, lambda: self._scan(frame).points))
        )

    def truth(self, frame: int, everything: bool = False) -> VoxelTruth:
        """``voxels`` as a dataset has them: unknown voxels are 255 unless ``everything`` is to be known."""
        return self.voxels(frame, everything).truth(everything)

    def hidden(self, frame: int) -> np.ndarray:
        """Bool of the KITTI grid's shape: voxels that what stands hides from the LiDAR at a frame."""
        return ~self._seen_here(_whole("frame", frame))

    def image(self, frame: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> CameraImage:
        """What the left colour camera sees, with ``camera.KITTI_CALIBRATION``.

        Args:
            frame: number of the frame.
            size: width and height in pixels.
        """
        pose = self.pose(frame)
        scenes = self._scenes(pose, frame / FRAME_RATE)[: OWN_CAR]
        return take_image(scenes, pose, self._sun, size=size)

    def _pose_at(self, time: float) -> np.ndarray:
        pose = np.array(self._world.ego_pose(time), np.float64)
        pose[:3, 3] += pose[:3, 2] * self.sensor.height
        return pose

    def _scenes(self, pose: np.ndarray, time: float) -> list[RayScene]:
        """In the order that ``lidar.measure`` asks for."""
        moving = self._traffic(pose, time)
        ground = pose.copy()
        ground[:3, 3] -= pose[:3, 2] * (self.sensor.height + OWN_CAR_BELOW)
        own = _moved(self._own_car, ground)
        return [self._tile(pose[:2, 3]), RayScene(moving, pose[:3, 3]), RayScene(own, pose[:3, 3])]

    def _traffic(self, pose: np.ndarray, time: float) -> Mesh:
        return self._moving.get(time, lambda: self._world.moving(pose[:2, 3], self.sensor.max_range, time))

    def _tile(self, place: np.ndarray) -> RayScene:
        """What stands around the square of the town that a place (2,) lies in."""
        tile = tuple(np.floor(place / _TILE).astype(int).tolist())
        centre = (np.array(tile) + 0.5) * _TILE
        reach = max(self.sensor.max_range, 80.0) + 0.75 * _TILE
        return self._tiles.get(tile, lambda: RayScene(self._world.standing(centre, reach), (*centre, 0.0)))

    def _bounded(self, place: np.ndarray) -> BoundedMesh:
        scene = self._tile(place)
        return self._bounds.get(scene.anchor.tobytes(), lambda: BoundedMesh(scene.mesh))

    def _sphere(self, time: float) -> Sphere:
        """What can be seen from where the car is at a time; kept, since the frames around it ask again."""
        place = self._pose_at(time)[:3, 3]
        return self._spheres.get(time, lambda: Sphere(self._tile(place[:2]), place))

    def _seen(self, frame: int) -> np.ndarray:
        """Bool of the KITTI grid's shape: what is seen here and now, or from places behind and ahead, those far apart
        first."""
        pose = self.pose(frame)
        times = self._places.around(frame / FRAME_RATE, pose[:3, 3])
        spheres = [self._sphere(time) for time in [*times[::-3], *times[-2::-3], *times[-3::-3]]]
        return seen_voxels(spheres, KITTI_GRID, pose, before=self._seen_here(frame))

    def _seen_here(self, frame: int) -> np.ndarray:
        """What is seen here and now; kept, since who asks for a frame's truth also asks what it hides."""
        pose = self.pose(frame)
        return self._here.get(frame, lambda: seen_voxels([self._sphere_here(pose)], KITTI_GRID, pose))

    def _sphere_here(self, pose: np.ndarray) -> Sphere:
        return Sphere(self._tile(pose[:2, 3]), pose[:3, 3], forward=pose[:3, 0])


def _sun(rng: np.random.Generator) -> np.ndarray:
    """(3,) unit vector towards the sun, 25 to 60 degrees above the horizon."""
    around, up = rng.uniform(0.0, 2.0 * np.pi), np.radians(rng.uniform(25.0, 60.0))
    return np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])


def _whole(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ConfigError(f"Expected {name} to be a whole number from 0, got {value!r}")
    return int(value)


def _moved(mesh: Mesh, pose: np.ndarray) -> Mesh:
    vertices = mesh.vertices.astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
    return Mesh(vertices, mesh.triangles, mesh.category, mesh.instance, mesh.material)


def street_scan(frame: int, seed: int = 0, sensor: SpinningLidar = HDL_64E) -> np.ndarray:
    """One scan of a drive through a simulated town with traffic, ten scans per second.

    Args:
        frame: number of the scan, from 0; the time is frame / 10 s.
        seed: chooses the town and the way through it.
        sensor: what scans it.

    Returns:
        (N, 4) float32, x y z in metres in the LiDAR frame (REP-103), intensity 0 to 0.99; beam by beam from the top,
        counter-clockwise from forward within a beam. The same arguments give the same bits.

    Raises:
        ConfigError: ``frame`` or ``seed`` is not a whole number from 0, or embreex is not installed.
    """
    return labelled_street_scan(frame, seed, sensor).points


def labelled_street_scan(frame: int, seed: int = 0, sensor: SpinningLidar = HDL_64E) -> LabelledScan:
    """As ``street_scan``, with the class and the instance of every point."""
    _whole("frame", frame)
    return shared_drive(seed, sensor).scan(frame)


def shared_drive(seed: int, sensor: SpinningLidar = HDL_64E) -> SimulatedDrive:
    """The drive of a seed; the last two that were asked for are kept with what they have already looked at."""
    return _DRIVES.get((_whole("seed", seed), sensor), lambda: SimulatedDrive(seed, sensor))


_DRIVES: Recent[tuple[int, SpinningLidar], SimulatedDrive] = Recent(2)
