"""The voxel truth of a drive: what is where, what is known, and which thing it is."""

from __future__ import annotations

import numpy as np
import pytest
from stand_in_world import CLASS, BoxWorld, box, ground

from pasco_core.data.frame import UNKNOWN
from pasco_core.data.simulation.drive import SimulatedDrive
from pasco_core.data.simulation.mesh import Mesh
from pasco_core.data.simulation.sensing.beam_tables import HDL_64E
from pasco_core.data.simulation.sensing.bounded_mesh import BoundedMesh
from pasco_core.data.simulation.sensing.rays import RayScene
from pasco_core.data.simulation.truth.seen_voxels import seen_voxels
from pasco_core.data.simulation.truth.sight import Sphere
from pasco_core.data.simulation.truth.voxel_truth import complete_voxels
from pasco_core.geometry import KITTI_GRID


@pytest.fixture(scope="module")
def drive() -> SimulatedDrive:
    return SimulatedDrive(0, HDL_64E, BoxWorld())


def lidar_pose() -> np.ndarray:
    pose = np.eye(4)
    pose[2, 3] = HDL_64E.height
    return pose


def voxel(x: float, y: float, z: float) -> tuple[int, ...]:
    """Of a point in the world, seen from the LiDAR at the origin."""
    return tuple(KITTI_GRID.voxel_of(np.array([[x, y, z - HDL_64E.height]]))[0])


def truth_of(parts: list[Mesh], moving: list[Mesh] | None = None, places: list[float] | None = None):
    standing = Mesh.joined(parts)
    seen = None
    if places is not None:
        spheres = [Sphere(RayScene(standing), np.array([x, 0.0, 1.73])) for x in places]
        seen = seen_voxels(spheres, KITTI_GRID, lidar_pose())
    return complete_voxels(BoundedMesh(standing), Mesh.joined(moving or []), lidar_pose(), seen).truth()


def test_a_box_on_a_plane_is_where_it_stands_to_the_voxel():
    truth = truth_of([ground(100.0), box((10.05, 2.05, 0.05), (14.15, 3.95, 1.45), "car", 33)])
    assert truth.semantics[voxel(10.06, 3.0, 0.7)] == CLASS["car"]
    assert truth.semantics[voxel(9.9, 3.0, 0.7)] == 0
    assert truth.semantics[voxel(12.0, 3.0, 0.7)] == 0  # its inside is empty where everything is known
    assert truth.semantics[voxel(30.0, 0.0, 0.0)] == CLASS["road"]
    car = truth.semantics == CLASS["car"]
    assert np.array_equal(truth.instances > 0, car)
    assert set(np.unique(truth.instances)) == {0, 1}


def test_ground_fills_its_layer_and_nothing_above_or_below():
    truth = truth_of([ground(100.0)])
    layer = voxel(1.0, 0.0, 0.0)[2]
    assert (truth.semantics[:, :, layer] == CLASS["road"]).all()
    assert (np.delete(truth.semantics, layer, axis=2) == 0).all()


def test_inside_of_houses_and_the_underground_are_unknown_open_space_is_not():
    house = box((10.0, 4.0, 0.0), (20.0, 12.0, 8.0), "building")
    truth = truth_of([ground(100.0), house], places=[0.0, 20.0, 40.0])
    assert truth.semantics[voxel(15.0, 8.0, 2.0)] == UNKNOWN
    assert truth.semantics[voxel(15.0, 0.0, -0.2)] == UNKNOWN
    assert truth.semantics[voxel(15.0, 8.0, 0.0)] == UNKNOWN  # the floor of the house
    assert truth.semantics[voxel(15.0, 14.0, 2.0)] == UNKNOWN  # behind it
    assert truth.semantics[voxel(15.05, 4.1, 2.0)] == CLASS["building"]
    assert truth.semantics[voxel(15.0, 2.0, 2.0)] == 0
    assert truth.semantics[voxel(15.0, 2.0, 0.0)] == CLASS["road"]


def test_what_a_later_place_sees_is_known():
    wall = box((8.0, -3.0, 0.0), (8.2, 3.0, 7.0), "fence")
    behind = voxel(12.0, 0.0, 1.0)
    assert truth_of([ground(100.0), wall], places=[0.0]).semantics[behind] == UNKNOWN
    assert truth_of([ground(100.0), wall], places=[0.0, 30.0]).semantics[behind] == 0


def test_moving_things_leave_no_trail_and_their_inside_is_unknown():
    car = box((10.0, -1.0, 0.3), (14.0, 1.0, 1.7), "car", 5)
    truth = truth_of([ground(100.0)], [car], places=[0.0, 5.0, 20.0])
    assert truth.semantics[voxel(12.0, 0.0, 1.0)] == UNKNOWN
    assert truth.semantics[voxel(10.1, 0.0, 1.0)] == CLASS["car"]
    x = np.flatnonzero((truth.semantics == CLASS["car"]).any(axis=(1, 2)))
    assert 20 <= len(x) <= 21
    assert truth.semantics[voxel(20.0, 0.0, 1.0)] == 0


def test_instances_are_numbered_from_one_without_gaps_and_do_not_touch_unknown(drive: SimulatedDrive):
    truth = drive.truth(7)
    numbers = np.unique(truth.instances)
    assert numbers.tolist() == list(range(len(numbers)))
    assert len(numbers) > 4
    assert truth.semantics.dtype == np.uint8
    assert truth.instances.dtype == np.uint16
    assert (truth.instances[truth.semantics == UNKNOWN] == 0).all()
    assert np.array_equal(truth.instances > 0, truth.semantics == CLASS["car"])


def test_points_of_the_scan_lie_in_voxels_of_their_class(drive: SimulatedDrive):
    exact = SimulatedDrive(0, HDL_64E.__class__(HDL_64E.elevations, 1000, 1.73, 80.0, 0.0, 0.0), BoxWorld())
    scan, truth = exact.scan(7), drive.truth(7)
    inside = KITTI_GRID.contains(scan.points[:, :3])
    found = truth.semantics[tuple(KITTI_GRID.voxel_of(scan.points[inside, :3]).T)]
    assert (found != 0).mean() > 0.999
    assert (found == UNKNOWN).mean() < 0.002
    assert (found == scan.semantics[inside]).mean() > 0.95


def test_truth_has_the_same_bits_in_any_order(drive: SimulatedDrive):
    other = SimulatedDrive(0, HDL_64E, BoxWorld())
    for frame in (8, 7):
        first, second = drive.truth(frame), other.truth(frame)
        assert first.semantics.tobytes() == second.semantics.tobytes()
        assert first.instances.tobytes() == second.instances.tobytes()


def test_everything_can_be_known(drive: SimulatedDrive):
    known, everything = drive.truth(7), drive.truth(7, everything=True)
    assert not (everything.semantics == UNKNOWN).any()
    seen = known.semantics != UNKNOWN
    assert np.array_equal(known.semantics[seen], everything.semantics[seen])
    assert 0.05 < 1.0 - seen.mean() < 0.6


def test_hidden_voxels_are_those_behind_what_stands_now(drive: SimulatedDrive):
    hidden = drive.hidden(7)
    unknown = drive.voxels(7).unknown
    assert hidden.sum() > unknown.sum()
    assert (unknown & ~hidden).mean() < 0.01  # only what encloses itself, such as the inside of traffic


def test_what_is_hidden_now_does_not_depend_on_what_was_asked_before(drive: SimulatedDrive):
    drive.voxels(9)
    other = SimulatedDrive(0, HDL_64E, BoxWorld())
    for frame in (9, 10):
        assert np.array_equal(drive.hidden(frame), other.hidden(frame))


def test_a_car_that_waits_is_no_endless_search():
    class Waiting(BoxWorld):
        def ego_pose(self, time: float) -> np.ndarray:
            return super().ego_pose(0.0)

    truth = SimulatedDrive(0, HDL_64E, Waiting()).truth(3)
    assert (truth.semantics == UNKNOWN).any()
