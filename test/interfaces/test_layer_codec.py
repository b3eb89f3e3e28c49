"""Voxel layers as they travel: every value comes back, and nothing that a hostile message claims is believed."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pasco_core.data.layer_codec import COMPRESSIONS, NONE, RUN_LENGTH, ZLIB, compress, decompress
from pasco_core.errors import ConfigError, DataError

TYPES = ("<u1", "<u2", "<i4", "<f4")


@given(st.sampled_from(TYPES).flatmap(lambda t: arrays(t, st.integers(0, 60))), st.sampled_from([*COMPRESSIONS]))
def test_every_value_comes_back_bit_for_bit(values: np.ndarray, name: str):
    data = compress(values, COMPRESSIONS[name])
    back = decompress(data, values.dtype, len(values), COMPRESSIONS[name])
    assert back.dtype == values.dtype and back.tobytes() == values.tobytes()


def test_runs_are_what_the_message_says():
    data = compress(np.array([5, 5, 300], "<u2"), RUN_LENGTH)
    assert data == bytes([2, 0, 0, 0, 1, 0, 0, 0, 5, 0, 44, 1])


@pytest.mark.parametrize(("compression", "data", "said"), [
    (NONE, b"123", "Expected 4 bytes for 4 values, got 3"),
    (ZLIB, zlib.compress(b"1234")[:-3], "exactly 4 bytes, got more or less"),
    (ZLIB, zlib.compress(bytes(10**8)), "exactly 4 bytes, got more or less"),
    (ZLIB, zlib.compress(b"1234") + b"5", "exactly 4 bytes, got more or less"),
    (ZLIB, zlib.compress(b"123"), "Expected 4 bytes for 4 values, got 3"),
    (ZLIB, b"hello", "Expected deflated values"),
    (RUN_LENGTH, b"1234", "Expected runs of 5 bytes each, got 4 bytes"),
    (RUN_LENGTH, b"\xff\xff\xff\xff\x07", "runs of 4 values together, got 4294967295"),
    (RUN_LENGTH, b"\xff\xff\xff\xff" * 3 + b"\x07" * 3, "runs of 4 values together, got 12884901885"),
    (9, b"1234", r"a compression of \[0, 1, 2\], got 9"),
])
def test_data_that_is_not_four_values_is_refused(compression: int, data: bytes, said: str):
    with pytest.raises(DataError, match=said):
        decompress(data, "u1", 4, compression)


def test_an_unknown_compression_is_refused_before_sending():
    with pytest.raises(ConfigError, match="got 7"):
        compress(np.zeros(3, np.uint8), 7)


def test_a_scene_shrinks_to_a_small_part():
    scene = np.zeros((64, 64, 32), np.uint8)
    scene[:, :, :3] = 9
    scene[10:20, 30:34, 3:9] = 1
    for name in ("zlib", "run_length"):
        assert len(compress(scene, COMPRESSIONS[name])) < scene.nbytes / 2
