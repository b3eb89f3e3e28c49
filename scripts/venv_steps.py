"""The steps that build ``.venv/``, each skipped while a stamp says that its inputs are unchanged."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from venv_checks import SetupError, check, check_disk, installed_gpu_torch, this_machine

LAYOUT = 1  # raise it when a change of these steps makes existing environments unusable
EXTRAS = "bag,dev,labels,sim,train"
MESSAGE_INPUTS = (
    "CMakeLists.txt", "package.xml", "cmake/drop_foreign_include_paths.cmake", "msg/*.msg", "srv/*.srv",
    "cmake/tf2_msgs/CMakeLists.txt", "cmake/tf2_msgs/package.xml", "cmake/tf2_msgs/msg/*.msg",
)
PACKAGE_INPUTS = ("pyproject.toml", "requirements/*.txt")
# Variables of another environment that would lead pip, cmake or a wheel's start-up hook out of this one.
PIP_VARIABLES = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIRE_VIRTUALENV")
FOREIGN_VARIABLES = ("PYTHONHOME", "PYTHONPATH", "_ROS_WHEELS_BOOTSTRAP_COMPLETE", *PIP_VARIABLES)


@dataclass(frozen=True)
class Step:
    """One part of set-up: ``run`` is called when ``inputs`` differ from those of its last success."""

    name: str
    inputs: object
    run: Callable[[], None]


class Environment:
    """The virtual environment of one checkout, and the steps that bring it up to date.

    Args:
        root: the checkout.
        torch_folder: site-packages folder of an installed GPU torch to use, None to install torch.
    """

    def __init__(self, root: Path, torch_folder: Path | None = None):
        self.root = root
        self.folder = root / ".venv"
        self.stamps = self.folder / ".setup"
        self.log = root / "build" / "setup.log"
        self.python = self.folder / "bin" / "python"
        self.torch_folder = torch_folder

    def steps(self) -> list[Step]:
        """In order: the environment, the packages in it, the messages."""
        place = {"layout": LAYOUT, "checkout": str(self.root), "python": _interpreter()}
        place["gpu_torch"] = str(self.torch_folder)
        return [
            Step("environment", place, self._make_environment),
            Step("packages", _digest(self.root, PACKAGE_INPUTS), self._install_packages),
            Step("messages", _digest(self.root, MESSAGE_INPUTS), self._build_messages),
        ]

    def outdated(self) -> list[Step]:
        """The steps to run: the first whose stamp does not fit, and all after it."""
        steps = self.steps()
        for number, step in enumerate(steps):
            if not self._is_fresh(step):
                # An installation that was cut short may have left half a package that pip takes for a whole one.
                return steps if step.name == "packages" and self._started(step.name).exists() else steps[number:]
        return []

    def bring_up_to_date(self) -> list[str]:
        """Runs the outdated steps and returns their names; an interrupted step is run again by the next call."""
        steps = self.outdated()
        if steps and steps[0].name == "environment":
            check_disk(self.root)
        for step in steps:
            self._stamp(step).unlink(missing_ok=True)
            step.run()
            _write_whole(self._stamp(step), json.dumps(step.inputs))
        return [step.name for step in steps]

    def recorded_interpreter(self) -> str | None:
        """The Python that the environment was made with, None where there is no whole environment."""
        try:
            return json.loads((self.stamps / "environment").read_text(encoding="utf-8"))["python"]["executable"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _stamp(self, step: Step) -> Path:
        return self.stamps / step.name

    def _started(self, name: str) -> Path:
        """There while a step runs that must not be cut short."""
        return self.stamps / f"{name}.started"

    def _is_fresh(self, step: Step) -> bool:
        try:
            recorded = json.loads(self._stamp(step).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return recorded == step.inputs and self.python.exists()

    def _make_environment(self) -> None:
        self._empty_folder()
        say(f"making .venv with Python {sys.version_info[0]}.{sys.version_info[1]} ({_interpreter()['executable']})")
        self._call("python -m venv", [_interpreter()["executable"], "-m", "venv", str(self.folder)])
        if self.torch_folder is not None:
            say(f"using the installed GPU torch in {self.torch_folder}")
            site_packages = next(self.folder.glob("lib/python3.*/site-packages"))
            (site_packages / "installed_gpu_torch.pth").write_text(f"{self.torch_folder}\n", encoding="utf-8")

    def _empty_folder(self) -> None:
        """Removes an environment of ours; the folder of stamps goes last, so that a half-removed one is still known."""
        if self.folder.exists() and not self.stamps.is_dir() and any(self.folder.iterdir()):
            raise SetupError(f"Expected {self.folder} to be made by this set-up, got a foreign one: move it away first")
        self.stamps.mkdir(parents=True, exist_ok=True)
        entries = [entry for entry in self.folder.iterdir() if entry != self.stamps]
        if entries:
            say("removing the old .venv")
        for entry in entries:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        shutil.rmtree(self.stamps)
        self.stamps.mkdir()

    def _install_packages(self) -> None:
        say("installing packages (a few minutes the first time)")
        started = self._started("packages")
        started.touch()
        torch = [] if self.torch_folder else ["-r", "requirements/torch.txt"]
        if torch:
            self._warn_of_cuda_download()
        wanted = ["-r", "requirements/ros-kilted.txt", "-r", "requirements/tools.txt", "-e", f".[{EXTRAS}]"]
        self._pip("install", "--no-compile", *_torch_index(), *torch, *wanted)
        # Compiled here by all cores at once; pip would use one.
        library = str(next(self.folder.glob("lib/python3.*/site-packages")))
        self._call("compileall", [str(self.python), "-m", "compileall", "-q", "-j", "0", library], may_fail=True)
        started.unlink()

    def _warn_of_cuda_download(self) -> None:
        """Says so before several GB of CUDA libraries are fetched for a machine without a GPU."""
        if Path("/proc/driver/nvidia").exists():
            return
        report = self.stamps / "torch.json"
        arguments = ("--dry-run", "--no-deps", "--ignore-installed", "--report", str(report))
        self._pip("install", *arguments, *_torch_index(), "-r", "requirements/torch.txt")
        metadata = json.loads(report.read_text(encoding="utf-8"))["install"][0]["metadata"]
        if any(requirement.startswith(("nvidia", "cuda")) for requirement in metadata.get("requires_dist", [])):
            say(
                f"note: torch {metadata['version']} from this package index brings several GB of CUDA libraries, and "
                "no NVIDIA driver is loaded here. For the small CPU build stop now and run: "
                "make setup TORCH_INDEX=<address of PyTorch's CPU wheels>"
            )

    def _build_messages(self) -> None:
        say("building the ROS messages")
        self._remove_old_messages()
        installed = self._build_package(self.root, "msgs", "-DPASCO_MESSAGES_ONLY=ON")
        installed += self._build_package(self.root / "cmake" / "tf2_msgs", "tf2_msgs")
        (self.stamps / "messages.installed").write_text(installed, encoding="utf-8")

    def _build_package(self, source: Path, name: str, *options: str) -> str:
        """Builds and installs one package of messages; returns the installed paths, one per line."""
        build = self.root / "build" / name
        shutil.rmtree(build, ignore_errors=True)
        configure = ["cmake", "-S", str(source), "-B", str(build), "-GNinja", *self._cmake_options(), *options]
        self._call("cmake", configure)
        self._call("cmake --build", ["cmake", "--build", str(build), "--target", "install"])
        return (build / "install_manifest.txt").read_text(encoding="utf-8") + "\n"

    def _cmake_options(self) -> list[str]:
        include = self.root / "cmake" / "drop_foreign_include_paths.cmake"
        return [
            "-DCMAKE_BUILD_TYPE=Release",
            f"-DCMAKE_MAKE_PROGRAM={self.folder / 'bin' / 'ninja'}",
            f"-DCMAKE_INSTALL_PREFIX={self.folder}",
            f"-DCMAKE_PREFIX_PATH={self.folder}",
            f"-DPython3_EXECUTABLE={self.python}",
            f"-DCMAKE_PROJECT_INCLUDE={include}",
        ]

    def _remove_old_messages(self) -> None:
        manifest = self.stamps / "messages.installed"
        if manifest.is_file():
            for line in filter(None, manifest.read_text(encoding="utf-8").splitlines()):
                Path(line).unlink(missing_ok=True)

    def _pip(self, *arguments: str) -> None:
        options = ["--quiet", "--disable-pip-version-check", "--no-input", "--prefer-binary"]
        self._call("pip", [str(self.python), "-m", "pip", arguments[0], *options, *arguments[1:]])

    def _call(self, what: str, command: list[str], may_fail: bool = False) -> None:
        """Runs a command in the checkout, its output in the log; if it fails raises SetupError with the log's end."""
        variables = {key: value for key, value in os.environ.items() if key not in FOREIGN_VARIABLES}
        path = f"{self.folder / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}"
        variables.update(PATH=path, VIRTUAL_ENV=str(self.folder), AMENT_PREFIX_PATH=str(self.folder))
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"\n$ {' '.join(command)}\n")
            log.flush()
            code = subprocess.run(command, cwd=self.root, env=variables, stdout=log, stderr=log, check=False).returncode
        if code and not may_fail:
            end = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:]
            raise SetupError("\n".join([f"{what} failed (exit code {code}); the end of {self.log}:", *end]))


def say(line: str) -> None:
    """Shows one line of progress."""
    sys.stdout.write(f"setup: {line}\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Brings the environment of this checkout up to date; 0 on success, 1 with one clear line on failure."""
    parser = argparse.ArgumentParser(prog="setup_venv.py", description=__doc__)
    parser.add_argument("--keep-python", action="store_true", help="prefer the Python that .venv was made with")
    options = parser.parse_args(arguments)
    root = Path(__file__).resolve().parent.parent
    _continue_with(_better_python(root, options.keep_python))
    started = time.monotonic()
    try:
        with _alone(root / "build" / "setup.lock"):
            environment = Environment(root, installed_gpu_torch())
            if environment.outdated():
                environment.log.write_text("", encoding="utf-8")
                check(this_machine())
                environment.bring_up_to_date()
                say(f"ready after {time.monotonic() - started:.0f} s")
    except SetupError as error:
        sys.stderr.write(f"setup: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("setup: interrupted; the next run takes it up again\n")
        return 130
    return 0


def _better_python(root: Path, keep: bool) -> str | None:
    """The Python that .venv was made with if it is to be kept; that behind .venv if this one would remove itself."""
    recorded = Environment(root).recorded_interpreter() if keep else None
    if recorded and os.access(recorded, os.X_OK):
        return recorded
    return sys._base_executable if Path(sys.prefix) == root / ".venv" else None  # as the venv module itself finds it


def _continue_with(executable: str | None) -> None:
    """Starts this program again under another Python, unless that one runs already or None is given."""
    if executable and executable != _interpreter()["executable"]:
        command = [executable, *(argument for argument in sys.argv if argument != "--keep-python")]
        os.execv(executable, command)


def _interpreter() -> dict[str, str]:
    """Path and version of the Python that runs this; of a virtual environment its own, not that of its base."""
    version = "{}.{}".format(*sys.version_info[:2])
    in_venv = sys.prefix != sys.base_prefix
    executable = os.path.abspath(sys.executable) if in_venv else os.path.realpath(sys.executable)
    return {"executable": executable, "version": version}


def _torch_index() -> list[str]:
    address = os.environ.get("TORCH_INDEX")
    return ["--extra-index-url", address] if address else []


def _digest(root: Path, patterns: tuple[str, ...]) -> str:
    """SHA-256 over names and contents of the files."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root)} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits for another set-up of the same checkout to end."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this checkout")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
