"""Rays through meshes, for the tests of the town: Embree where it is, and a brute-force reference."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.simulation.mesh import Mesh


def first_hits(mesh: Mesh, origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangle (-1 = none) and distance of each ray's first hit, by Embree."""
    core = pytest.importorskip("embreex.rtcore_scene", reason="embreex is not installed")
    from embreex.mesh_construction import TriangleMesh

    scene = core.EmbreeScene()
    TriangleMesh(scene, mesh.vertices, mesh.triangles)
    answer = scene.run(
        np.ascontiguousarray(origins, np.float32),
        np.ascontiguousarray(directions, np.float32),
        query="INTERSECT",
        output=True,
    )
    return answer["primID"], answer["tfar"]


def only(mesh: Mesh, chosen: np.ndarray) -> Mesh:
    """The mesh of some of the triangles."""
    return Mesh(
        mesh.vertices, mesh.triangles[chosen], mesh.category[chosen], mesh.instance[chosen], mesh.material[chosen]
    )
