"""``pasco render``: pictures and films of scenes, scans, datasets and bags, without a display."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pasco_core.cli.jobs import Names, check_output_folder, with_progress
from pasco_core.cli.moments import add_source_arguments, chosen_moments
from pasco_core.cli.text import as_json
from pasco_core.errors import ConfigError

if TYPE_CHECKING:
    from pasco_core.viz import MomentPainter
    from pasco_core.viz.moments import Moments

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_OTHER_FORMATS = frozenset((
    ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".apng", ".svg", ".pdf", ".ppm", ".webm", ".avi", ".mov", ".mkv",
    ".m4v", ".mpg", ".mpeg", ".ogv", ".wmv",
))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Source, view, panels, output."""
    add_source_arguments(parser)
    add = parser.add_argument
    add("--view", metavar="VIEW",
        help="third-person, birds-eye or camera (default: third-person; camera where --camera is given)")
    add("--show", nargs="+", action=Names, default=[], metavar="NAME",
        help="panels: input, semantics, instances, uncertainty (default: all that there are)")
    add("--size", default="1280x720", metavar="WxH", help="of the whole picture, in pixels (default: 1280x720)")
    add("--fps", type=float, default=10.0, metavar="F", help="frames per second of a film (default: 10)")
    add("--out", type=Path, metavar="PATH",
        help=".png for one picture, .gif or .mp4 for a film, else a folder of pictures (default: out/render/<name>.png "
             "or, of several moments, .gif)")
    add("--json", action="store_true", help="print what was written as JSON")
    parser.epilog = (
        "examples:\n"
        "  pasco render out/infer/000000/scene.npz --scan 000000.bin\n"
        "  pasco render town --sequence 08 --view birds-eye --show semantics instances --out town.gif\n"
        "  pasco render kitti/dataset --sequence 08 --predictions out/scenes --view camera --out overlay.mp4\n"
        "  pasco render drive/bag --every 5 --show semantics uncertainty --out pictures/\n"
        "\n"
        "MP4 needs the package imageio-ffmpeg: pip install 'pasco-ros[viz]'"
    )


def run(args: argparse.Namespace) -> int:
    """Open, draw, write, say what was written."""
    from pasco_core.viz.film import ENDINGS, check_film
    from pasco_core.viz.moment_picture import MomentPainter
    from pasco_core.viz.moments import Wanted
    from pasco_core.viz.panels import INPUT

    size, view = _size(args.size), _view(args)
    if args.out is not None:
        _check_out(args.out)
    film = args.out is not None and args.out.suffix.lower() in ENDINGS
    painter = MomentPainter(view, args.show, size, one_legend=film)
    if film:
        check_film(args.out, size, args.fps)
    wanted = Wanted(
        scene=set(args.show) != {INPUT}, points=not args.show or INPUT in args.show, image=view == "camera"
    )
    moments, numbers = chosen_moments(args, wanted)
    out = args.out or Path("out") / "render" / f"{moments.name}{'.png' if len(numbers) == 1 else '.gif'}"
    if out.suffix.lower() == ".png" and len(numbers) > 1:
        raise ConfigError(f"Expected --out to be a film or a folder for {len(numbers)} moments, got {out}; "
                          "or choose one with --first and --limit 1")
    if out.suffix.lower() in ENDINGS and not film:
        painter = MomentPainter(view, args.show, size, one_legend=True)
        check_film(out, size, args.fps)
    files, count = _write(out, painter, moments, numbers, args.fps)
    values = {"out": str(out), "moments": count, "files": [str(file) for file in files], "size": list(size)}
    print(as_json(values) if args.json else _text(out, files, count, args.fps))
    return 0


def _write(out: Path, painter: MomentPainter, moments: Moments, numbers: range, fps: float) -> tuple[list[Path], int]:
    """The film, the picture, or a folder of pictures; returns the files and the number of moments in them."""
    from pasco_core.atomic_write import atomic_write
    from pasco_core.viz.film import ENDINGS, open_film
    from pasco_core.viz.scene_picture import save_png

    pictures = (painter(moment) for moment in moments.take(numbers))
    shown: Iterator = with_progress(pictures, len(numbers), f"render {moments.name}", "picture")
    if out.suffix.lower() in ENDINGS:
        _make_folder(out.parent)
        with open_film(out, painter.size, fps) as add:
            count = sum(add(picture) is None for picture in shown)
        return [out], count
    one = out.suffix.lower() == ".png"
    _make_folder(out.parent if one else out)
    files = []
    for number, picture in zip(numbers, shown, strict=False):  # a damaged bag may end early
        files.append(out if one else out / f"{moments.name}_{number:06d}.png")
        with atomic_write(files[-1]) as temporary:
            save_png(temporary, picture)
    return files, len(files)


def _check_out(out: Path) -> None:
    """The name says what is to be written, and can be written."""
    from pasco_core.viz.film import ENDINGS

    ending = out.suffix.lower()
    if ending in _OTHER_FORMATS and not out.is_dir():
        raise ConfigError("Expected --out to end in .png, .gif or .mp4, or to be a folder for pictures, whose name "
                          f"ends otherwise, got {out}")
    if ending in (".png", *ENDINGS) and out.is_dir():
        raise ConfigError(f"Expected --out to be a file where its name ends in {ending}, got {out}, a folder")


def _make_folder(folder: Path) -> None:
    check_output_folder(folder, "the place of --out")
    folder.mkdir(parents=True, exist_ok=True)


def _view(args: argparse.Namespace) -> str:
    if args.camera is None:
        return args.view or "third-person"
    if args.view not in (None, "camera"):
        raise ConfigError(f"Expected --camera {args.camera} to come with --view camera, got --view {args.view}")
    return "camera"


def _size(text: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ConfigError(f"Expected --size to be WIDTHxHEIGHT in pixels, such as 1280x720, got {text!r}")
    return int(found[1]), int(found[2])


def _text(out: Path, files: list[Path], moments: int, fps: float) -> str:
    if moments == 1:
        return f"wrote {files[0]}"
    if len(files) == 1:
        return f"wrote {out}: {moments} moments, {moments / fps:.1f} s"
    return f"wrote {len(files)} pictures into {out}"
