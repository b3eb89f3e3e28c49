"""Whatever happens to a scan file, reading it ends in a valid cloud or a named error."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pasco_core.data.scan_files import read_scan
from pasco_core.errors import CloudError, DataError

MUTATIONS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6)
WORDS = st.sampled_from([b"0", b"-1", b"99999999999999999999", b"1099511627776", b"2147483648", b"nan", b"list", b"x",
                         b"_", b"float", b"binary", b"ascii", b"F", b"U", b"8", b"\n", b"'O'", b"(", b"{", b"\x00"])


def check(path, source: str) -> None:
    """A valid cloud, or an error that names the file; never much more memory than the file needs."""
    tracemalloc.start()
    try:
        cloud = read_scan(path)
    except (CloudError, DataError) as error:
        assert source in str(error)
    else:
        assert cloud.points.dtype == np.float32 and cloud.points.ndim == 2 and cloud.points.shape[1] == 4
        assert len(cloud) > 0 and np.isfinite(cloud.points).all() and cloud.removed >= 0
        assert (cloud.points[:, 3] >= 0).all() and all(isinstance(note, str) for note in cloud.notes)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 * 2**20


@settings(max_examples=60, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 4000), flips=MUTATIONS)
def test_a_truncated_or_flipped_file_gives_a_cloud_or_a_named_error(tmp_path, scan_format, points, cut, flips):
    name, writer = scan_format
    data = bytearray(writer(points))
    for position, value in flips:
        data[position % len(data)] = value
    (tmp_path / name).write_bytes(data[: len(data) - cut] if cut < len(data) else data)
    check(tmp_path / name, name)


@settings(max_examples=60, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.integers(0, 10**6), word=WORDS)
def test_a_header_with_another_word_gives_a_cloud_or_a_named_error(tmp_path, scan_format, points, which, word):
    name, writer = scan_format
    words = writer(points).split(b" ")
    words[which % min(len(words), 24)] = word
    (tmp_path / name).write_bytes(b" ".join(words))
    check(tmp_path / name, name)


@pytest.mark.parametrize("ending", ["bin", "npy", "pcd", "ply"])
@settings(max_examples=60, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400), prefix=st.sampled_from([b"", b"\x93NUMPY\x01\x00", b"ply\n", b"# .PCD v0.7\n"]))
def test_arbitrary_bytes_give_a_cloud_or_a_named_error(tmp_path, ending, data, prefix):
    (tmp_path / f"any.{ending}").write_bytes(prefix + data)
    check(tmp_path / f"any.{ending}", f"any.{ending}")
