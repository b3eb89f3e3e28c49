"""The C++ header reads what Python writes: compiled and run where there is a compiler."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pasco_core.data.layer_codec import COMPRESSIONS, compress

SHAPE = (5, 4, 3)
PROGRAM = """
#include <fstream>
#include <iostream>
#include <pasco/voxel_grid_view.hpp>

struct Point {double x, y, z;};
struct Quaternion {double x, y, z, w;};
struct Pose {Point position; Quaternion orientation;};
struct VoxelLayer {
  std::string name; std::uint8_t encoding, compression; float scale, offset; std::vector<std::uint8_t> data;
};
struct VoxelGrid {
  Pose origin; float voxel_size; std::uint32_t size_x, size_y, size_z; std::vector<VoxelLayer> layers;
};

int main(int, char ** argv) {
  VoxelGrid grid; grid.size_x = 5; grid.size_y = 4; grid.size_z = 3;
  auto & q = grid.origin.orientation; auto & p = grid.origin.position;
  int encoding, compression; VoxelLayer layer; layer.name = "semantics";
  std::cin >> encoding >> compression >> layer.scale >> layer.offset >> grid.voxel_size
    >> p.x >> p.y >> p.z >> q.x >> q.y >> q.z >> q.w;
  layer.encoding = encoding; layer.compression = compression;
  std::ifstream file(argv[1], std::ios::binary);
  layer.data.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  grid.layers.push_back(layer);
  try {
    const auto values = pasco::layer(grid, "semantics");
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values.unknown(i)) {std::cout << "unknown ";} else {std::cout << values.value(i) << " ";}
    }
    std::cout << std::endl;
    double x, y, z;
    while (std::cin >> x >> y >> z) {
      const auto voxel = pasco::voxel_of(grid, x, y, z);
      if (voxel) {std::cout << voxel->index << " ";} else {std::cout << "outside ";}
    }
    try {pasco::layer(grid, "missing");} catch (const std::invalid_argument & e) {std::cout << "\\n" << e.what();}
  } catch (const std::exception & error) {std::cout << "error: " << error.what(); return 1;}
  return 0;
}
"""


@pytest.fixture(scope="module")
def reader(tmp_path_factory, repository: Path):
    compiler = shutil.which("g++") or pytest.skip("g++ is not installed")
    folder = tmp_path_factory.mktemp("header")
    (folder / "main.cpp").write_text(PROGRAM, encoding="utf-8")
    command = [compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I", str(repository / "include"),
               str(folder / "main.cpp"), "-o", str(folder / "reader")]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr

    def read(data: bytes, encoding: int, compression: int, numbers: list[float], points: np.ndarray) -> list[str]:
        (folder / "data").write_bytes(data)
        given = " ".join(map(repr, map(float, [*numbers, *points.ravel()])))
        done = subprocess.run([folder / "reader", folder / "data"], input=f"{encoding} {compression} {given}",
                              capture_output=True, text=True)
        return done.stdout.splitlines()

    return read


@pytest.mark.parametrize(("encoding", "dtype", "unknown"),
                         [(2, "<u1", 255), (4, "<u2", 65535), (5, "<i4", -1), (7, "<f4", np.nan)])
@pytest.mark.parametrize("compression", ["none", "run_length"])
def test_it_reads_every_encoding_and_finds_the_voxel_of_a_point(reader, encoding, dtype, unknown, compression):
    rng = np.random.default_rng(encoding)
    values = rng.integers(0, 4, SHAPE).astype(dtype)
    values[1, 2] = unknown
    turn = Rotation.from_euler("zyx", [40, 5, -3], degrees=True)
    corner = np.array([1.0, -2.0, 0.5])
    points = rng.uniform(-1, 6, (300, 3)) * 0.25
    numbers = [0.5, 10.0, 0.25, *corner, *turn.as_quat()]
    lines = reader(compress(values, COMPRESSIONS[compression]), encoding, COMPRESSIONS[compression], numbers,
                   turn.apply(points) + corner)
    expected = ["unknown" if (np.isnan(v) or v == unknown) else f"{0.5 * v + 10:g}" for v in values.ravel().tolist()]
    assert lines[0].split() == expected
    index = np.floor(points / 0.25).astype(int)
    inside = ((index >= 0) & (index < SHAPE)).all(1)
    flat = np.ravel_multi_index(np.clip(index, 0, np.array(SHAPE) - 1).T, SHAPE)
    assert lines[1].split() == [str(f) if i else "outside" for f, i in zip(flat, inside, strict=True)]
    assert 20 < inside.sum() < 280
    assert lines[2] == "Expected the grid to have a layer 'missing', got none"


@pytest.mark.parametrize(("data", "compression", "said"), [
    (b"\0" * 59, 0, "Expected 60 bytes of values, got 59"),
    (b"\xff\xff\xff\xff\x07", 2, "Expected runs of 60 values, got 4294967295"),
    (b"\xff\xff\xff", 2, "Expected whole runs, got 3 bytes"),
    (b"\0" * 60, 1, "without compression or of run lengths, got compression 1"),
])
def test_it_refuses_what_is_no_layer_of_the_grid(reader, data, compression, said):
    numbers = [1, 0, 0.2, 0, 0, 0, 0, 0, 0, 1]
    assert said in reader(data, 2, compression, numbers, np.zeros((0, 3)))[0]
