"""One rule turns every driver's intensity into 0 to 1."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.intensity import (
    INTENSITY_NAMES,
    IntensityScale,
    find_intensity,
    intensity_divisor,
    scale_intensity,
)
from pasco_core.errors import CloudError


@pytest.mark.parametrize(("values", "divisor"), [
    (np.array([0, 100], np.uint8), 255), (np.array([0, 100], np.uint16), 65535), (np.array([0, 100], np.int8), 127),
    (np.array([0, 100], np.int16), 32767), (np.array([0, 100], np.uint32), 255), (np.array([0, 300], np.int64), 65535),
    (np.array([0, 1], np.uint32), 1), (np.array([0.0, 0.99]), 1), (np.array([0.0, 1.0], np.float32), 1),
    (np.array([0.0, 2.0], np.float32), 255), (np.array([0.0, 255.0]), 255), (np.array([0.0, 256.0]), 65535),
    (np.array([0.0, 1e6]), 1e6), (np.array([np.nan, np.inf, 0.5]), 1), (np.array([np.nan, np.nan]), 1),
    (np.array([], np.float32), 1), (np.array([0, 200], ">u2"), 65535),
])
def test_the_divisor_follows_the_type_or_the_largest_finite_value(values, divisor):
    assert intensity_divisor(values) == divisor


def test_kitti_intensities_are_kept_bit_for_bit_and_without_a_note():
    values = np.array([0, 0.37, 0.99], np.float32)
    scaled, note = scale_intensity(values, "intensity")
    np.testing.assert_array_equal(scaled, values)
    assert note is None


def test_what_was_done_is_said_with_field_type_and_scale():
    scaled, note = scale_intensity(np.array([0, 13107, 65535], np.uint16), "reflectivity")
    np.testing.assert_allclose(scaled, [0, 0.2, 1], rtol=1e-6)
    assert scaled.dtype == np.float32
    assert note == "intensity field 'reflectivity' uint16 scaled by 1/65535"


def test_negative_values_become_zero_and_are_counted():
    scaled, note = scale_intensity(np.array([-1.0, 0.5, -3.0]), "i")
    np.testing.assert_array_equal(scaled, np.array([0, 0.5, 0], np.float32))
    assert note == "intensity field 'i' float64 2 negative values set to 0"


def test_nan_and_infinity_stay_for_the_caller_to_remove():
    scaled, _ = scale_intensity(np.array([np.nan, np.inf, 100.0]), "i")
    assert np.isnan(scaled[0]) and np.isinf(scaled[1]) and scaled[2] == np.float32(100 / 255)


def test_a_stream_can_keep_the_scale_of_its_first_frame():
    bright, _ = scale_intensity(np.array([200.0]), "i")
    dark, note = scale_intensity(np.array([1.0]), "i", divisor=255.0)
    assert dark[0] == np.float32(1 / 255) and bright[0] == np.float32(200 / 255)
    assert note == "intensity field 'i' float64 scaled by 1/255"


def test_the_scale_of_a_stream_grows_once_and_never_shrinks():
    scale = IntensityScale()
    peaks = [250.0, 260.0, 250.0]
    scaled, notes = zip(*(scale.apply(np.array([peak]), "i") for peak in peaks), strict=True)
    np.testing.assert_array_equal(np.concatenate(scaled), np.float32([250 / 255, 260 / 65535, 250 / 65535]))
    assert notes == (
        "intensity field 'i' float64 scaled by 1/255",
        "intensity field 'i' float64 scaled by 1/65535, from now on; the clouds before were scaled by 1/255",
        "intensity field 'i' float64 scaled by 1/65535",
    )


def test_a_stream_of_bytes_keeps_the_divisor_of_its_type():
    scale = IntensityScale()
    scale.apply(np.array([300.0]), "i")
    assert scale.apply(np.array([51], np.uint8), "i")[0] == np.float32(0.2)
    assert scale.apply(np.array([0.5]), "i")[0] == np.float32(0.5 / 65535)


def test_streams_do_not_share_their_scale():
    IntensityScale().apply(np.array([300.0]), "i")
    assert IntensityScale().apply(np.array([0.5]), "i")[0] == np.float32(0.5)


def test_values_that_are_no_numbers_are_refused_by_field_name():
    with pytest.raises(CloudError, match="intensity field 'i' to hold integers or floats, got complex128"):
        scale_intensity(np.zeros(3, complex), "i")


def test_the_first_alias_in_the_list_wins_whatever_the_order_of_the_fields():
    assert find_intensity(["reflectivity", "x", "INTENSITY"]) == "INTENSITY"
    assert find_intensity(["x", "y", "z", "ring"]) is None
    assert all(find_intensity(["x", name]) == name for name in INTENSITY_NAMES)
