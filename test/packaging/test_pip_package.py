"""The wheel that ``pip install .`` makes on a machine without ROS."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import pasco_core

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pasco_core", "pasco_ros")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """Built from a copy, because setuptools leaves its build folder in the source tree."""
    setuptools = importlib.metadata.version("setuptools")
    if int(setuptools.split(".")[0]) < 77:
        pytest.skip(f"building the wheel needs setuptools 77 or newer, found {setuptools}")
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "LICENSE", "README.md", "package.xml", "CMakeLists.txt"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy / name)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("training", "launch", "config", "msg", "test", "scripts"):  # what a careless search would take along
        (copy / name).mkdir()
        (copy / name / "module.py").touch()
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(copy / "wheels")]
    command = [sys.executable, "-m", "pip", "wheel", *options, str(copy)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return zipfile.ZipFile(next((copy / "wheels").glob("*.whl")))


def metadata_file(wheel: zipfile.ZipFile, name: str) -> str:
    return wheel.read(f"pasco_ros-{pasco_core.__version__}.dist-info/{name}").decode()


def test_it_is_pure_python_and_carries_the_version_of_the_library(wheel):
    assert Path(wheel.filename).name == f"pasco_ros-{pasco_core.__version__}-py3-none-any.whl"


def test_it_installs_only_the_two_packages(wheel):
    """Above all nothing called "training", "launch", "test" or "pasco", names that belong to others."""
    assert {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" not in name} == set(PACKAGES)


def test_it_holds_every_file_of_the_packages(wheel):
    """Data files, too: label maps, schemas, fonts."""
    files = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert files - set(wheel.namelist()) == set()


def test_it_installs_the_pasco_command(wheel):
    assert "pasco = pasco_core.cli:main" in metadata_file(wheel, "entry_points.txt")


def test_it_asks_for_no_ros_package_and_keeps_heavy_packages_optional(wheel):
    metadata = Parser().parsestr(metadata_file(wheel, "METADATA"))
    requirements = metadata.get_all("Requires-Dist")
    required = [line for line in requirements if "extra ==" not in line]
    assert {line.split(">")[0] for line in required} == {
        "torch", "numpy", "scipy", "safetensors", "pyyaml", "pillow", "tqdm",
    }
    assert not any(line.startswith("ros-") for line in requirements)
    assert {"train", "bag", "sim", "viz", "labels", "export", "dev"} <= set(metadata.get_all("Provides-Extra"))


def test_training_refuses_the_lightning_releases_that_run_code_from_checkpoints(wheel):
    requirements = Parser().parsestr(metadata_file(wheel, "METADATA")).get_all("Requires-Dist")
    assert [line for line in requirements if line.startswith("lightning>=2.6.6")]
