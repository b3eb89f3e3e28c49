"""First hits of rays with meshes, by Embree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pasco_core.data.simulation.materials import MATERIALS
from pasco_core.data.simulation.mesh import Mesh
from pasco_core.errors import ConfigError

MATERIAL_PASSES = np.array([m.passes for m in MATERIALS], np.float32)
_BEHIND = 2e-3  # metres behind a pane at which a ray that passed it starts anew
_PANES = 4  # panes of glass that a ray may pass


@dataclass(frozen=True)
class Hits:
    """What N rays met first.

    Args:
        distance: (N,) float32 in lengths of the direction, infinite where nothing is met.
        normal: (N, 3) float32 unit normal of the triangle (either side), 0 where nothing is met.
        category: (N,) uint8, class of ``SEMANTIC_KITTI``, 0 where nothing is met.
        instance: (N,) int32, 0 for none.
        material: (N,) uint8, index into ``MATERIALS``.
        scene: (N,) int8, index of the scene that was met, -1 where nothing is met.
        triangle: (N,) int32, index of the triangle in that scene's mesh, -1 where nothing is met.
    """

    distance: np.ndarray
    normal: np.ndarray
    category: np.ndarray
    instance: np.ndarray
    material: np.ndarray
    scene: np.ndarray
    triangle: np.ndarray

    @classmethod
    def of_nothing(cls, n: int) -> Hits:
        """N rays that met nothing."""
        return cls(
            np.full(n, np.inf, np.float32), np.zeros((n, 3), np.float32), np.zeros(n, np.uint8), np.zeros(n, np.int32),
            np.zeros(n, np.uint8), np.full(n, -1, np.int8), np.full(n, -1, np.int32),
        )

    def put(self, rows: np.ndarray, other: Hits) -> None:
        """Writes the hits of ``other`` over those of the rays ``rows``."""
        for name in self.__dataclass_fields__:
            getattr(self, name)[rows] = getattr(other, name)

    def of(self, rows: np.ndarray) -> Hits:
        """The hits of some rays."""
        return Hits(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})

    @property
    def met(self) -> np.ndarray:
        """(N,) bool: whether anything was met."""
        return self.scene >= 0


class RayScene:
    """A mesh that rays can be cast at.

    Args:
        mesh: the surface; it may be empty.
        anchor: (3,) point near which rays start, in the mesh's frame. Embree computes in float32, so coordinates are
            kept small by counting from here.

    Raises:
        ConfigError: embreex is not installed.
    """

    def __init__(self, mesh: Mesh, anchor: np.ndarray | Sequence[float] = (0.0, 0.0, 0.0)):
        scene_type, triangles_type = _embree()
        self.mesh = mesh
        self.anchor = np.asarray(anchor, np.float64)
        self._scene = None
        if len(mesh):
            vertices = np.ascontiguousarray(mesh.vertices.astype(np.float64) - self.anchor, np.float32)
            self._scene = scene_type(robust=True)
            self._triangles = triangles_type(self._scene, vertices, np.ascontiguousarray(mesh.triangles, np.int32))

    def nearest(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distance (N,) float32 (infinite for none), triangle (N,) int32 (-1 for none), normal (N, 3) not normalised.

        Args:
            origins: (3,) or (N, 3), in the mesh's frame.
            directions: (N, 3).
        """
        n = len(directions)
        if self._scene is None or n == 0:
            return np.full(n, np.inf, np.float32), np.full(n, -1, np.int32), np.zeros((n, 3), np.float32)
        starts, directions = self._rays(origins, directions)
        found = self._scene.run(starts, directions, query="INTERSECT", output=True)
        met = found["primID"] >= 0
        return np.where(met, found["tfar"], np.float32(np.inf)), found["primID"], found["Ng"]

    def distances(self, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """As ``nearest``, the distance alone."""
        if self._scene is None or len(directions) == 0:
            return np.full(len(directions), np.inf, np.float32)
        found = self._scene.run(*self._rays(origins, directions), query="DISTANCE")
        return np.where(found < 1e30, found, np.float32(np.inf)).astype(np.float32)

    def _rays(self, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        starts = (np.asarray(origins, np.float64) - self.anchor).astype(np.float32)
        starts = np.ascontiguousarray(np.broadcast_to(starts, np.shape(directions)))
        return starts, np.ascontiguousarray(directions, np.float32)


def first_hits(scenes: Sequence[RayScene], origins: np.ndarray, directions: np.ndarray) -> Hits:
    """What the rays meet first in any of the scenes, which share one frame.

    Args:
        scenes: what may be hit; of equal distances the earlier scene's counts.
        origins: (3,) or (N, 3) metres.
        directions: (N, 3) float32.
    """
    hits = Hits.of_nothing(len(directions))
    for index, candidate in enumerate(scenes):
        distance, triangle, normal = candidate.nearest(origins, directions)
        nearer = np.flatnonzero(distance < hits.distance)
        if not len(nearer):
            continue
        mesh, triangle = candidate.mesh, triangle[nearer]
        n = len(nearer)
        hits.put(nearer, Hits(
            distance[nearer], _unit(normal[nearer]), mesh.category[triangle], mesh.instance[triangle],
            mesh.material[triangle], np.full(n, index, np.int8), triangle,
        ))
    return hits


def _unit(normal: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.einsum("ni,ni->n", normal, normal))
    return normal / np.maximum(length, np.float32(1e-30))[:, None]


def hits_through_glass(
    scenes: Sequence[RayScene], origins: np.ndarray, directions: np.ndarray, chance: np.ndarray
) -> Hits:
    """As ``first_hits``, but a ray goes on behind a surface that lets more than its ``chance`` through.

    Args:
        scenes: what may be hit.
        origins: (3,) or (N, 3) metres.
        directions: (N, 3) float32 unit vectors.
        chance: (N,) float32 in [0, 1): uniformly drawn, once for each ray; behind a pane the rest of its interval,
            stretched to [0, 1), decides about the next one.
    """
    hits = first_hits(scenes, origins, directions)
    origins = np.broadcast_to(np.asarray(origins, np.float64), np.shape(directions))
    chance, travelled = np.array(chance, np.float32), np.zeros(len(directions), np.float64)
    for _ in range(_PANES):
        share = MATERIAL_PASSES[hits.material]
        through = np.flatnonzero(hits.met & (chance < share))
        if not len(through):
            break
        chance[through] /= share[through]
        travelled[through] = hits.distance[through].astype(np.float64) + _BEHIND
        start = origins[through] + directions[through] * travelled[through, None]
        behind = first_hits(scenes, start, directions[through])
        behind.distance[:] += travelled[through].astype(np.float32)
        hits.put(through, behind)
    return hits


def _embree() -> tuple[type, type]:
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise ConfigError(
            "Expected embreex, which the simulator casts its rays with, to be installed, got none; "
            "install it with: pip install 'pasco-ros[sim]'"
        ) from error
    return EmbreeScene, TriangleMesh
