"""Images from messages: every encoding against hand-made pixels, and what is malformed refused (row 11)."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pasco_core.data.image_message import ENCODINGS, decode_compressed, decode_image
from pasco_core.errors import ImageError

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)


def message(values, encoding, bigendian=0, padding=0):
    values = np.ascontiguousarray(values)
    rows = values.reshape(len(values), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return SimpleNamespace(height=len(values), width=values.shape[1], encoding=encoding, is_bigendian=bigendian,
                           step=rows.shape[1], data=rows.tobytes())


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "values"),
    [
        ("rgb8", RGB), ("bgr8", RGB[..., ::-1]), ("8UC3", RGB[..., ::-1]),
        ("rgba8", np.dstack([RGB, RGB[..., :1]])), ("bgra8", np.dstack([RGB[..., ::-1], RGB[..., :1]])),
        ("rgb16", RGB.astype("<u2") * 256 + 13), ("bgr16", RGB[..., ::-1].astype("<u2") * 256),
    ],
)
def test_colour_encodings_give_their_pixels_whatever_the_padding(encoding, values, padding):
    np.testing.assert_array_equal(decode_image(message(values, encoding, padding=padding)), RGB)


@pytest.mark.parametrize(("order", "bigendian"), [("<", 0), (">", 1)])
def test_grey_is_the_same_in_all_channels_and_16_bits_are_read_in_the_messages_order(order, bigendian):
    grey = RGB[..., 0]
    expected = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(decode_image(message(grey, "mono8", bigendian)), expected)
    wide = (grey.astype(np.uint16) * 257).astype(order + "u2")
    np.testing.assert_array_equal(decode_image(message(wide, "mono16", bigendian)), expected)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_bayer_pattern_of_a_plane_of_colour_gives_the_plane_back(pattern):
    v, u = np.mgrid[0:10, 0:12]
    planes = {"r": 20.0 + 6 * u + 4 * v, "g": 200.0 - 8 * u + 2 * v, "b": 90.0 + 2 * u - 4 * v}
    mosaic = np.zeros((10, 12), np.uint8)
    for index, colour in enumerate(pattern):
        row, column = divmod(index, 2)
        mosaic[row::2, column::2] = planes[colour][row::2, column::2]
    expected = np.stack([planes[c] for c in "rgb"], axis=-1)
    decoded = decode_image(message(mosaic, f"bayer_{pattern}8"))
    np.testing.assert_allclose(decoded[1:-1, 1:-1], expected[1:-1, 1:-1], atol=0.5)
    assert np.abs(decoded.astype(float) - expected).max() < 17  # at the border one side is missing


@pytest.mark.parametrize(("encoding", "order"), [("uyvy", "uyvy"), ("yuv422", "uyvy"), ("yuyv", "yuyv"),
                                                 ("yuv422_yuy2", "yuyv")])
def test_yuv_is_that_of_bt_601_in_its_limited_range(encoding, order):
    known = {(16, 128, 128): (0, 0, 0), (235, 128, 128): (255, 255, 255), (81, 90, 240): (254, 0, 0),
             (145, 54, 34): (0, 255, 1), (41, 240, 110): (0, 0, 255)}
    for (y, u, v), rgb in known.items():
        block = [{"u": u, "v": v, "y": y}[letter] for letter in order]
        decoded = decode_image(message(np.array([block, block], np.uint8).reshape(2, 2, 2), encoding))
        assert np.abs(decoded.astype(int) - rgb).max() <= 2


def broken(**changes):
    good = vars(message(RGB, "rgb8"))
    return SimpleNamespace(**{**good, **changes})


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"encoding": "32FC1"}, "ENCODING", "'32FC1'"),
        ({"encoding": ""}, "ENCODING", "got ''"),
        ({"width": 0}, "LAYOUT", "at least one pixel"),
        ({"width": 9}, "LAYOUT", "step"),
        ({"height": 7}, "LAYOUT", "7 * 24 = 168 bytes, got 144"),
        ({"step": 23}, "LAYOUT", "step"),
        ({"data": b""}, "LAYOUT", "got 0"),
        ({"width": 2**32 - 1, "height": 2**32 - 1}, "LAYOUT", "pixels"),
        ({"encoding": "uyvy", "width": 7, "step": 24}, "LAYOUT", "even"),
    ],
)
def test_row_11_a_malformed_image_is_refused_by_name(changes, code, text):
    with pytest.raises(ImageError) as caught:
        decode_image(broken(**changes), "/front/image")
    assert caught.value.code == code and text in str(caught.value) and "/front/image" in str(caught.value)


def test_a_step_of_zero_means_no_padding_as_with_clouds():
    np.testing.assert_array_equal(decode_image(broken(step=0)), RGB)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["", "32FC1", *ENCODINGS]), st.integers(0, 2**32 - 1) | st.integers(0, 9),
    st.integers(0, 2**32 - 1) | st.integers(0, 9), st.integers(0, 40), st.binary(max_size=300), st.integers(0, 1),
)
def test_row_11_whatever_the_message_says_it_is_decoded_or_refused(encoding, width, height, step, data, big):
    sent = SimpleNamespace(encoding=encoding, width=width, height=height, step=step, data=data, is_bigendian=big)
    try:
        picture = decode_image(sent)
    except ImageError:
        return
    assert picture.shape == (height, width, 3) and picture.dtype == np.uint8


def compressed(kind, picture, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return SimpleNamespace(format=kind.lower(), data=stream.getvalue())


def test_png_is_decoded_exactly_and_jpeg_nearly():
    smooth = np.dstack([np.add.outer(np.arange(48) * 2, np.arange(64)).astype(np.uint8)] * 3)
    np.testing.assert_array_equal(decode_compressed(compressed("PNG", Image.fromarray(RGB))), RGB)
    decoded = decode_compressed(compressed("JPEG", Image.fromarray(smooth), quality=95))
    assert np.abs(decoded.astype(int) - smooth).max() <= 6
    wide = Image.fromarray(RGB[..., 0].astype(np.uint16) * 256)
    np.testing.assert_array_equal(decode_compressed(compressed("PNG", wide))[..., 1], RGB[..., 0])


@pytest.mark.parametrize("damage", ["cut", "foreign", "empty", "gif"])
def test_row_11_a_damaged_or_foreign_compressed_image_is_refused(damage):
    sent = compressed("PNG", Image.fromarray(RGB))
    if damage == "gif":
        sent = compressed("GIF", Image.fromarray(RGB))
    sent.data = {"cut": sent.data[:60], "foreign": b"not an image at all", "empty": b"", "gif": sent.data}[damage]
    with pytest.raises(ImageError, match="/cam/compressed") as caught:
        decode_compressed(sent, "/cam/compressed")
    assert caught.value.code == "FORMAT" and "0x" not in str(caught.value)
