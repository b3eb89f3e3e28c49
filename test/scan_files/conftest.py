"""Writers of scan files that share no code with the readers."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest


def pcd_header(n: int, data: str, fields="x y z intensity", size="4 4 4 4", kind="F F F F", count="1 1 1 1") -> bytes:
    return (
        f"# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS {fields}\nSIZE {size}\nTYPE {kind}\n"
        f"COUNT {count}\nWIDTH {n}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {n}\nDATA {data}\n"
    ).encode()


def as_pcd_ascii(points: np.ndarray) -> bytes:
    return pcd_header(len(points), "ascii") + b"".join(b"%.9g %.9g %.9g %.9g\n" % tuple(p) for p in points.tolist())


def as_pcd_binary(points: np.ndarray) -> bytes:
    return pcd_header(len(points), "binary") + b"".join(struct.pack("<4f", *p) for p in points.tolist())


def as_pcd_compressed(points: np.ndarray) -> bytes:
    """Only literal runs, which is valid LZF."""
    plain = b"".join(struct.pack(f"<{len(points)}f", *column) for column in points.T.tolist())
    runs = b"".join(bytes([len(plain[i : i + 32]) - 1]) + plain[i : i + 32] for i in range(0, len(plain), 32))
    return pcd_header(len(points), "binary_compressed") + struct.pack("<II", len(runs), len(plain)) + runs


def ply_header(n: int, encoding: str) -> bytes:
    return (
        f"ply\nformat {encoding} 1.0\ncomment made for a test\nelement vertex {n}\nproperty float x\n"
        "property float y\nproperty float z\nproperty float intensity\nend_header\n"
    ).encode()


def as_ply_ascii(points: np.ndarray) -> bytes:
    return ply_header(len(points), "ascii") + b"".join(b"%.9g %.9g %.9g %.9g\n" % tuple(p) for p in points.tolist())


def as_ply_little(points: np.ndarray) -> bytes:
    return ply_header(len(points), "binary_little_endian") + b"".join(struct.pack("<4f", *p) for p in points.tolist())


def as_ply_big(points: np.ndarray) -> bytes:
    return ply_header(len(points), "binary_big_endian") + b"".join(struct.pack(">4f", *p) for p in points.tolist())


def as_npy(points: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, points)
    return buffer.getvalue()


def as_bin(points: np.ndarray) -> bytes:
    return b"".join(struct.pack("<4f", *p) for p in points.tolist())


WRITERS = {
    "kitti.bin": as_bin, "array.npy": as_npy, "ascii.pcd": as_pcd_ascii, "binary.pcd": as_pcd_binary,
    "compressed.pcd": as_pcd_compressed, "ascii.ply": as_ply_ascii, "little.ply": as_ply_little, "big.ply": as_ply_big,
}


@pytest.fixture(params=WRITERS, ids=str)
def scan_format(request):
    """File name and writer (points (N, 4) float32 -> bytes) of each format in turn."""
    return request.param, WRITERS[request.param]


@pytest.fixture
def points() -> np.ndarray:
    """Sixty points (60, 4) float32 with intensities from 0 to 1."""
    rng = np.random.default_rng(7)
    cloud = rng.normal(0, 20, (60, 4)).astype(np.float32)
    cloud[:, 3] = rng.random(60, dtype=np.float32)
    return cloud


@pytest.fixture
def make_pcd_header():
    return pcd_header
