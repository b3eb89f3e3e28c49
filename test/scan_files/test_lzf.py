"""LZF streams made by hand, and properties of damaged ones."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pasco_core.data.lzf import lzf_decompress


@pytest.mark.parametrize(("stream", "plain"), [
    (bytes([0]) + b"a", b"a"),
    (bytes([31]) + bytes(range(32)), bytes(range(32))),
    (bytes([2]) + b"abc" + bytes([0x20, 2]), b"abcabc"),
    (bytes([0]) + b"z" + bytes([0x80, 0]), b"zzzzzzz"),
    (bytes([1]) + b"xy" + bytes([0xE0, 10, 1]), b"xy" * 10 + b"x"),
    (bytes([31]) + bytes(range(32)) + bytes([0x20, 31]), bytes(range(32)) + bytes([0, 1, 2])),
], ids=["one byte", "longest run", "copy", "overlap of one", "long overlap", "far copy"])
def test_each_kind_of_token_means_what_the_format_says(stream, plain):
    assert lzf_decompress(stream, len(plain)) == plain


@pytest.mark.parametrize(("stream", "size"), [
    (bytes([5]) + b"abc", 6), (bytes([0x20, 0]), 3), (bytes([0]) + b"a" + bytes([0x20]), 4), (bytes([0]) + b"a", 2),
    (bytes([1]) + b"ab", 1), (bytes([0]) + b"a", 2**40), (b"", 1),
], ids=["cut run", "copy from nothing", "cut copy", "too little", "too much", "absurd claim", "nothing"])
def test_a_damaged_stream_is_refused(stream, size):
    with pytest.raises(ValueError):
        lzf_decompress(stream, size)


@given(st.binary(max_size=300), st.integers(0, 2**20))
def test_any_bytes_give_exactly_the_announced_size_or_a_refusal(stream, size):
    with contextlib.suppress(ValueError):
        assert len(lzf_decompress(stream, size)) == size
