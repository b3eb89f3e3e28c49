"""Files are written whole or not at all, whatever they are called."""

from __future__ import annotations

import pytest

from pasco_core.atomic_write import atomic_write, write_text_whole


@pytest.mark.parametrize("name", ["scene.npz", "\N{GRINNING FACE}" * 60 + ".npz", "\u00fc" * 125 + ".npz", "a" * 255,
                                  "a." + "b" * 250, "a" + "\N{GRINNING FACE}" * 60 + ".png"])
def test_every_name_that_a_file_may_have_can_be_written(tmp_path, name):
    with atomic_write(tmp_path / name) as temporary:
        assert temporary.parent == tmp_path and len(temporary.name.encode()) <= 255
        assert temporary.suffix == (tmp_path / name).suffix or len(name) > 250
        temporary.write_bytes(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"whole"


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "a") as temporary:
        temporary.write_bytes(b"ha")
        raise KeyboardInterrupt
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_text_replaces_a_file_as_utf_8_or_not_at_all(tmp_path):
    path = tmp_path / "report.html"
    write_text_whole(path, "old\n")
    write_text_whole(path, "4×4 → “ü”\n")
    assert path.read_bytes() == "4×4 → “ü”\n".encode()
    with pytest.raises(UnicodeEncodeError):
        write_text_whole(path, "half a pair: \ud800")
    assert path.read_bytes() == "4×4 → “ü”\n".encode() and list(tmp_path.iterdir()) == [path]
