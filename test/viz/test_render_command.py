"""``pasco render`` and ``pasco view`` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pasco_core.cli import main
from pasco_core.viz import film as films

SMALL = ["--size", "240x200", "--view", "birds-eye"]


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with five scans, in the current folder."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(5):
        points = np.array([[10.0 + 5 * number, 2.0, -1.0, 0.5]] * 50, "<f4")
        points.tofile(folder / f"{number:06d}.bin")
    monkeypatch.chdir(tmp_path)
    return folder


def test_one_moment_becomes_a_picture(scans: Path, capsys: pytest.CaptureFixture):
    assert main(["render", "scans/000002.bin", *SMALL]) == 0
    with Image.open("out/render/000002.png") as image:
        assert image.size == (240, 200)
    assert capsys.readouterr().out == "wrote out/render/000002.png\n"


def test_several_moments_become_a_film_that_moves(scans: Path, capsys: pytest.CaptureFixture):
    assert main(["render", "scans", *SMALL, "--every", "2", "--fps", "5", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["out"], values["moments"]) == ("out/render/scans.gif", 3)
    with Image.open(values["out"]) as film:
        assert (film.n_frames, film.size, film.info["duration"]) == (3, (240, 200), 200)
        first = np.asarray(film.convert("RGB"))
        film.seek(2)
        assert not np.array_equal(np.asarray(film.convert("RGB")), first)


def test_a_folder_gets_a_picture_per_moment(scans: Path):
    assert main(["render", "scans", *SMALL, "--first", "1", "--limit", "2", "--out", "pictures"]) == 0
    assert sorted(p.name for p in Path("pictures").iterdir()) == ["scans_000001.png", "scans_000002.png"]


def test_an_interrupted_film_is_not_there(scans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    add, count = films._Gif.add, [0]

    def stopped(self, frame: np.ndarray) -> None:
        count[0] += 1
        if count[0] == 3:
            raise KeyboardInterrupt
        add(self, frame)

    monkeypatch.setattr(films._Gif, "add", stopped)
    assert main(["render", "scans", *SMALL, "--out", "film.gif"]) == 130
    assert [p.name for p in Path().iterdir()] == ["scans"]
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["scans", "--out", "a.png"], 2, "--out to be a film or a folder for 5 moments, got a.png"),
        (["scans", "--size", "wide"], 2, "--size to be WIDTHxHEIGHT in pixels, such as 1280x720, got 'wide'"),
        (["scans", "--every", "0"], 2, "--every and --limit from 1 and --first from 0, got --every 0"),
        (["scans", "--first", "5"], 2, "--first to be less than the 5 there are, got 5"),
        (["scans", "--view", "top"], 2, "third-person, birds-eye, camera, got 'top'"),
        (["scans", "--show", "depth"], 2, "input, semantics, instances, uncertainty, got 'depth'"),
        (["scans", "--show", "semantics"], 1, "`pasco infer` makes a scene of a scan"),
        (["scans/000000.bin", "--out", "scans/000001.bin/a.png"], 2, "to be a folder, or one that can be made"),
        (["scans", "--camera", "/left"], 2, "--camera to come with a bag, got scans, a folder"),
        (["scans", "--view", "birds-eye", "--camera", "/left"], 2,
         "--camera /left to come with --view camera, got --view birds-eye"),
        (["scans", "--view", "camera", "--camera", "/left"], 2, "--camera to come with a bag, got scans, a folder"),
        (["scans", "--out", "film.webm"], 2, "--out to end in .png, .gif or .mp4, or to be a folder for pictures"),
        (["scans/000000.bin", "--out", "a.JPG"], 2, "whose name ends otherwise, got a.JPG"),
        (["nothing"], 1, "nothing to be a scene, scan, folder of these, dataset or bag, got nothing there"),
    ],
)
def test_wrong_use_is_one_line_that_names_the_rule(
    scans: Path, capsys: pytest.CaptureFixture, arguments: list[str], code: int, message: str
):
    assert main(["render", *arguments]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("out").exists() or not list(Path("out").rglob("*.*"))


def test_a_folder_in_the_place_of_a_picture_is_named(scans: Path, capsys: pytest.CaptureFixture):
    for name in ("taken.png", "taken.gif"):
        Path(name).mkdir()
        assert main(["render", "scans/000000.bin", *SMALL, "--out", name]) == 2
        assert f"to be a file where its name ends in {name[5:]}, got {name}, a folder" in capsys.readouterr().err
        assert not list(Path(name).iterdir())


def test_the_only_picture_in_a_folder_is_named(scans: Path, capsys: pytest.CaptureFixture):
    Path("shots.jpg").mkdir()
    assert main(["render", "scans/000003.bin", *SMALL, "--out", "shots.jpg"]) == 0
    assert capsys.readouterr().out == "wrote shots.jpg/000003_000000.png\n"
    assert Path("shots.jpg/000003_000000.png").is_file()


def test_view_writes_a_recording_of_every_moment(scans: Path, capsys: pytest.CaptureFixture):
    pytest.importorskip("rosbags", reason="rosbags is not installed: run `make setup`")
    assert main(["view", "scans", "--foxglove", "new/drive.mcap", "--limit", "2"]) == 0
    assert capsys.readouterr().out == "wrote new/drive.mcap: 2 moments\n"
    assert [p.name for p in Path("new").iterdir()] == ["drive.mcap"]
    assert main(["view", "scans", "--foxglove", "drive.bag"]) == 2
    assert "recording to end in .mcap, got drive.bag" in capsys.readouterr().err
    for option in (["--images"], ["--camera", "/left"]):
        capsys.readouterr()
        assert main(["view", "scans", *option]) == 2
        assert f"Expected {option[0]} to come with --foxglove" in capsys.readouterr().err
