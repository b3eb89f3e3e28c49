"""Films: whole or not there, each frame as it was drawn, memory for one frame."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.errors import ConfigError
from pasco_core.viz.film import open_film
from pasco_core.viz.palette import scale_colours

SIZE = (120, 80)
ROAD, CAR = SEMANTIC_KITTI.colours[9], SEMANTIC_KITTI.colours[1]


def frame(number: int) -> np.ndarray:
    """A car on a road, a little further right in each frame."""
    picture = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    picture[40:] = ROAD
    picture[45:60, 5 * number : 5 * number + 20] = CAR
    return picture


def write(path: Path, count: int, fps: float = 5.0) -> Path:
    with open_film(path, SIZE, fps) as add:
        for number in range(count):
            add(frame(number))
    return path


def test_every_frame_of_a_gif_is_the_picture_that_was_added(tmp_path: Path):
    with Image.open(write(tmp_path / "film.gif", 8)) as film:
        assert film.n_frames == 8
        for number in range(8):
            film.seek(number)
            assert np.array_equal(np.asarray(film.convert("RGB")), frame(number)), number


def test_colours_that_come_up_later_are_in_the_common_table(tmp_path: Path):
    later = np.full((SIZE[1], SIZE[0], 3), SEMANTIC_KITTI.colours[15], np.uint8)
    with open_film(tmp_path / "film.gif", SIZE, 5) as add:
        add(frame(0))
        add(later)
    with Image.open(tmp_path / "film.gif") as film:
        film.seek(1)
        assert np.array_equal(np.asarray(film.convert("RGB")), later)


def test_a_gif_lasts_as_long_as_its_frames_per_second_say(tmp_path: Path):
    with Image.open(write(tmp_path / "film.gif", 9, fps=3.0)) as film:
        durations = []
        for number in range(film.n_frames):
            film.seek(number)
            durations.append(film.info["duration"])
        assert film.info["loop"] == 0
    assert sum(durations) == 3000
    assert set(durations) == {330, 340}


def test_the_same_frames_give_the_same_bytes(tmp_path: Path):
    assert write(tmp_path / "a.gif", 4).read_bytes() == write(tmp_path / "b.gif", 4).read_bytes()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_a_film_that_is_cut_short_leaves_no_file_and_the_old_one_as_it_was(tmp_path: Path, stop: type):
    old = write(tmp_path / "old.gif", 3).read_bytes()
    for name in ("new.gif", "old.gif"):
        with pytest.raises(stop), open_film(tmp_path / name, SIZE, 5) as add:
            add(frame(0))
            raise stop
    assert [path.name for path in tmp_path.iterdir()] == ["old.gif"]
    assert (tmp_path / "old.gif").read_bytes() == old


def test_a_film_without_frames_is_refused_and_leaves_nothing(tmp_path: Path):
    with pytest.raises(ConfigError, match="at least one frame"):
        write(tmp_path / "film.gif", 0)
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_film(tmp_path: Path):
    peaks = []
    for count in (5, 100):
        tracemalloc.start()
        write(tmp_path / f"{count}.gif", count)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 5 * SIZE[0] * SIZE[1]


@pytest.mark.parametrize(
    ("name", "size", "fps", "message"),
    [
        ("film.avi", SIZE, 10, r"end in \.gif or \.mp4, got film\.avi"),
        ("film.gif", SIZE, 51, "0.1 to 50, got 51"),
        ("film.gif", SIZE, float("nan"), "0.1 to 50, got nan"),
    ],
)
def test_a_film_that_cannot_be_is_refused_by_the_broken_rule(name: str, size: tuple, fps: float, message: str):
    with pytest.raises(ConfigError, match=message), open_film(name, size, fps):
        pass


def test_mp4_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ConfigError, match=r"imageio-ffmpeg for MP4, got none: pip install 'pasco-ros\[viz\]'"):
        write(tmp_path / "film.mp4", 1)
    assert list(tmp_path.iterdir()) == []


def test_mp4_has_the_frames_that_were_added(tmp_path: Path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed: pip install pasco-ros[viz]")
    path = write(tmp_path / "film.mp4", 8)
    reader = ffmpeg.read_frames(str(path))
    meta = next(reader)
    frames = [np.frombuffer(data, np.uint8).reshape(SIZE[1], SIZE[0], 3) for data in reader]
    assert (meta["size"], meta["fps"], len(frames)) == (SIZE, 5.0, 8)
    for number, picture in enumerate(frames):  # half as many colours as pixels, so edges differ
        assert np.median(np.abs(picture.astype(int) - frame(number))) < 8
    with pytest.raises(ConfigError, match="MP4 to be even, got 121x80"), open_film(tmp_path / "odd.mp4", (121, 80), 5):
        pass


def test_the_uncertainty_scale_stays_smooth_and_white_stays_white(tmp_path: Path):
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    bar = np.repeat(scale_colours(np.linspace(0, 1, SIZE[0]))[None], SIZE[1], axis=0)
    bar[:20] = 255
    with open_film(tmp_path / "film.gif", SIZE, 5) as add:
        add(noise)
        add(bar)
    with Image.open(tmp_path / "film.gif") as film:
        film.seek(1)
        shown = np.asarray(film.convert("RGB")).astype(int)
    assert (shown[:20] == 255).all()
    assert np.abs(shown - bar).max() <= 12
