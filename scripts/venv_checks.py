"""What set-up needs from the machine, and what it finds there: tools, Python headers, an installed GPU torch."""

from __future__ import annotations

import importlib.machinery
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

CMAKE_MINIMUM = (3, 21)
DISK_BYTES = 2_500_000_000
TORCH_MINIMUM = (2, 11)
# In the path of a checkout they break CMake's files, shell commands or the PATH.
_UNUSABLE = re.compile(r"""['"`\\;:\x00-\x1f]""")


class SetupError(Exception):
    """Set-up cannot go on; the message is one line for the person at the terminal."""


@dataclass(frozen=True)
class Machine:
    """The facts that decide whether set-up can succeed.

    Args:
        system: kernel name and processor, such as ("Linux", "x86_64").
        python: (major, minor) of the Python that set-up runs under.
        has_venv: whether that Python can make virtual environments with pip.
        has_headers: whether its C headers are there.
        has_compiler: whether a C++ compiler is on the PATH.
        cmake: (major, minor) of the cmake on the PATH, None without one.
        checkout: folder of this project.
    """

    system: tuple[str, str]
    python: tuple[int, int]
    has_venv: bool
    has_headers: bool
    has_compiler: bool
    cmake: tuple[int, int] | None
    checkout: Path = Path(__file__).resolve().parent.parent


def this_machine() -> Machine:
    """The facts about the machine and the Python that runs this."""
    return Machine(
        system=(platform.system(), platform.machine()),
        python=sys.version_info[:2],
        has_venv=find_spec("venv") is not None and find_spec("ensurepip") is not None,
        has_headers=Path(sysconfig.get_path("include"), "Python.h").is_file(),
        has_compiler=any(shutil.which(name) for name in ("c++", "g++", "clang++")),
        cmake=_cmake_version(),
    )


def check(machine: Machine) -> None:
    """Raises SetupError with everything that is missing in one line, and the apt packages that bring it."""
    if machine.system != ("Linux", "x86_64"):
        raise SetupError(
            f"Expected the machine to be Linux on x86_64, for which ROS wheels exist, got {' on '.join(machine.system)}"
            ". Elsewhere install ROS 2 and use colcon build, or pip install . without ROS"
        )
    _check_path(machine.checkout)
    version = "{}.{}".format(*machine.python)
    needs = (
        (machine.cmake is not None, "cmake", "cmake"),
        (machine.has_compiler, "a C++ compiler", "g++"),
        (machine.has_venv, f"Python's venv and ensurepip modules ({sys.executable})", f"python{version}-venv"),
        (machine.has_headers, f"Python's C headers ({sys.executable})", f"python{version}-dev"),
    )
    missing = [(what, package) for found, what, package in needs if not found]
    if missing:
        raise SetupError(
            f"{', '.join(what for what, _ in missing)} not found. "
            f"Install with: sudo apt install {' '.join(package for _, package in missing)}"
        )
    if machine.cmake is not None and machine.cmake < CMAKE_MINIMUM:
        raise SetupError(
            f"Expected cmake to be {_dotted(CMAKE_MINIMUM)} or newer, got {_dotted(machine.cmake)}. "
            "Install a newer one with: sudo apt install cmake"
        )


def _check_path(checkout: Path) -> None:
    """Refuses a folder that the build would trip over, minutes later and without saying so."""
    found = _UNUSABLE.search(str(checkout))
    if found:
        raise SetupError(
            "Expected the path of this checkout to have no quotes, backslashes, semicolons, colons or line breaks, "
            f"got {found[0]!a} in {str(checkout)!a}. Move it to another folder"
        )


def check_disk(folder: Path) -> None:
    """Raises SetupError where the disk of ``folder`` has no room for a new environment."""
    free = shutil.disk_usage(folder).free
    if free < DISK_BYTES:
        raise SetupError(f"Expected {DISK_BYTES / 1e9:.1f} GB to be free for {folder}, got {free / 1e9:.1f} GB")


def installed_gpu_torch(path: list[str] | None = None) -> Path | None:
    """Folder of an installed torch >= 2.11 built for CUDA or ROCm, None without one. Nothing is imported.

    Args:
        path: folders to look in; that of this Python by default.
    """
    spec = importlib.machinery.PathFinder.find_spec("torch", path)
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(spec.submodule_search_locations[0])
    version_file = package / "version.py"
    if not version_file.is_file():
        return None
    text = version_file.read_text(encoding="utf-8")
    version = re.search(r"^__version__ = ['\"](\d+)\.(\d+)", text, re.M)
    built_for_gpu = re.search(r"^(?:cuda|hip)\b[^=\n]*= ['\"]", text, re.M)
    if version is None or built_for_gpu is None or tuple(map(int, version.groups())) < TORCH_MINIMUM:
        return None
    return package.parent


def _cmake_version() -> tuple[int, int] | None:
    if shutil.which("cmake") is None:
        return None
    answer = subprocess.run(["cmake", "--version"], capture_output=True, text=True, check=False).stdout
    numbers = re.search(r"version (\d+)\.(\d+)", answer)
    return (int(numbers[1]), int(numbers[2])) if numbers else None


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
