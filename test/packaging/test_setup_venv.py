"""Set-up: what it says when something is missing, which torch it accepts, and what it does again after which change."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
ALL = ["environment", "packages", "messages"]


@pytest.fixture(scope="module")
def checks():
    sys.path.insert(0, str(SCRIPTS))
    yield importlib.import_module("venv_checks")
    sys.path.remove(str(SCRIPTS))


@pytest.fixture(scope="module")
def steps(checks):
    return importlib.import_module("venv_steps")


# What is missing


@pytest.fixture
def machine(checks):
    system = ("Linux", "x86_64")
    return checks.Machine(system, (3, 11), has_venv=True, has_headers=True, has_compiler=True, cmake=(3, 25))


def complaint(checks, machine) -> str:
    with pytest.raises(checks.SetupError) as error:
        checks.check(machine)
    return str(error.value)


def test_a_machine_with_everything_passes(checks, machine):
    checks.check(machine)


@pytest.mark.parametrize(
    ("lack", "package"),
    [
        ({"cmake": None}, "cmake"),
        ({"has_compiler": False}, "g++"),
        ({"has_venv": False}, "python3.11-venv"),
        ({"has_headers": False}, "python3.11-dev"),
    ],
)
def test_a_missing_tool_is_one_line_that_ends_with_the_apt_package(checks, machine, lack, package):
    message = complaint(checks, replace(machine, **lack))
    assert message.endswith(f"Install with: sudo apt install {package}")
    assert "\n" not in message


def test_all_missing_tools_are_named_at_once(checks, machine):
    message = complaint(checks, replace(machine, cmake=None, has_compiler=False, has_venv=False, has_headers=False))
    assert message.endswith("sudo apt install cmake g++ python3.11-venv python3.11-dev")


def test_the_apt_packages_are_those_of_the_chosen_python(checks, machine):
    assert "python3.13-dev" in complaint(checks, replace(machine, python=(3, 13), has_headers=False))


def test_an_old_cmake_is_refused_with_both_versions(checks, machine):
    assert "Expected cmake to be 3.21 or newer, got 3.16" in complaint(checks, replace(machine, cmake=(3, 16)))


@pytest.mark.parametrize("system", [("Linux", "aarch64"), ("Darwin", "arm64")])
def test_a_machine_without_ros_wheels_is_pointed_to_what_works_there(checks, machine, system):
    message = complaint(checks, replace(machine, system=system))
    assert " on ".join(system) in message and "colcon build" in message


def test_the_facts_about_this_machine_are_found(checks):
    found = checks.this_machine()
    assert found.python == sys.version_info[:2]
    assert found.has_compiler == any(shutil.which(name) for name in ("c++", "g++", "clang++"))
    assert (found.cmake is None) == (shutil.which("cmake") is None)


@pytest.mark.parametrize("folder", ["anna's work", 'a"b', "a`b", "a\\b", "a;b", "a:b", "a\nb"])
def test_a_path_that_the_build_would_trip_over_is_refused_at_once_in_one_line(checks, machine, folder):
    message = complaint(checks, replace(machine, checkout=Path("/home") / folder / "pasco"))
    assert message.startswith("Expected the path of this checkout to have no quotes") and "\n" not in message
    assert "pasco" in message


def test_a_path_with_spaces_and_letters_of_any_script_passes(checks, machine):
    checks.check(replace(machine, checkout=Path("/home/jürgen (work), no. 2/パスコ")))


def test_a_full_disk_is_one_clear_line(checks, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "DISK_BYTES", 10**18)
    with pytest.raises(checks.SetupError, match=r"Expected 1000000000\.0 GB to be free for .*, got \d"):
        checks.check_disk(tmp_path)


@pytest.mark.parametrize("version", [(3, 9, 2), (3, 14, 0), (2, 7, 18)])
def test_an_unsupported_python_is_one_clear_line(version):
    program = "import runpy, sys; sys.version_info = {}; runpy.run_path({!r}, run_name='__main__')"
    command = [sys.executable, "-c", program.format(version, str(SCRIPTS / "setup_venv.py"))]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    expected = f"setup: Expected Python to be 3.10 to 3.13, got {version[0]}.{version[1]} "
    assert answer.stderr.startswith(expected) and answer.stderr.count("\n") == 1
    assert "make PYTHON=" in answer.stderr


def bare_checkout(folder: Path, *programs: str) -> dict[str, str]:
    """Copies what ``make setup`` reads into ``folder``; returns an environment whose PATH has only ``programs``."""
    for name in ("Makefile", "pyproject.toml", "package.xml", "CMakeLists.txt"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("scripts", "requirements", "msg", "cmake"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "path").mkdir()
    for program in programs:
        (folder / "path" / program).symlink_to(shutil.which(program))
    return {"PATH": str(folder / "path")}


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_setup_without_cmake_and_compiler_ends_with_one_line_and_leaves_nothing(tmp_path):
    environment = bare_checkout(tmp_path, "bash", "dirname")
    command = [shutil.which("make"), "setup", f"PYTHON={sys.executable}"]
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in answer.stderr.splitlines() if not line.startswith("make")]
    assert answer.returncode != 0
    assert lines == ["setup: cmake, a C++ compiler not found. Install with: sudo apt install cmake g++"]
    assert not (tmp_path / ".venv").exists()


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_setup_without_python_ends_with_one_line(tmp_path):
    environment = bare_checkout(tmp_path, "bash", "dirname")
    command = [shutil.which("make"), "setup"]
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in answer.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1 and "got 'python3'" in lines[0] and "apt install python3" in lines[0]


# Which torch


def fake_torch(folder: Path, version: str, cuda: str, hip: str = "None") -> Path:
    package = folder / "torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('not to be imported')\n")
    lines = ["from typing import Optional", f"__version__ = '{version}'", f"cuda: Optional[str] = {cuda}"]
    (package / "version.py").write_text("\n".join([*lines, f"hip: Optional[str] = {hip}"]) + "\n")
    return folder


@pytest.mark.parametrize("version", ["2.11.0+cu128", "2.13.0", "2.12.0a0+git1"])
def test_a_recent_cuda_torch_is_used_as_it_is(checks, tmp_path, version):
    assert checks.installed_gpu_torch([str(fake_torch(tmp_path, version, "'12.8'"))]) == tmp_path


def test_a_recent_rocm_torch_is_used_as_it_is(checks, tmp_path):
    assert checks.installed_gpu_torch([str(fake_torch(tmp_path, "2.12.0", "None", "'7.1'"))]) == tmp_path


def test_an_older_cuda_torch_is_not_used(checks, tmp_path):
    assert checks.installed_gpu_torch([str(fake_torch(tmp_path, "2.9.1", "'12.6'"))]) is None


def test_a_torch_without_gpu_support_is_not_used(checks, tmp_path):
    assert checks.installed_gpu_torch([str(fake_torch(tmp_path, "2.13.0+cpu", "None"))]) is None


def test_no_torch_at_all_is_no_error(checks, tmp_path):
    assert checks.installed_gpu_torch([str(tmp_path)]) is None


# What is done again


@pytest.fixture
def checkout(tmp_path) -> Path:
    for name, text in {
        "pyproject.toml": "[project]",
        "requirements/torch.txt": "torch==2.13.0",
        "CMakeLists.txt": "project(pasco)",
        "package.xml": "<package/>",
        "cmake/drop_foreign_include_paths.cmake": "",
        "msg/Segment.msg": "int32 id",
    }.items():
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "checkout" / "build").mkdir()
    return tmp_path / "checkout"


@pytest.fixture
def environment_of(steps, monkeypatch):
    """Makes the environment of a checkout, with the two steps that need a network left out."""

    class Offline(steps.Environment):
        def _install_packages(self) -> None:
            (self.stamps / "packages.started").touch()
            self.during_installation()
            (self.stamps / "packages.started").unlink()

        def _build_messages(self) -> None:
            self.during_build()

        def _call(self, what: str, command: list[str], may_fail: bool = False) -> None:
            assert what == "python -m venv"
            self.python.parent.mkdir(parents=True)
            self.python.symlink_to(sys.executable)
            (self.folder / "lib" / "python3.11" / "site-packages").mkdir(parents=True)

        def during_installation(self) -> None:
            pass

        def during_build(self) -> None:
            pass

    return Offline


def cut_short() -> None:
    raise KeyboardInterrupt


def test_the_first_run_does_everything_and_the_second_nothing(environment_of, checkout):
    assert environment_of(checkout).bring_up_to_date() == ALL
    assert environment_of(checkout).bring_up_to_date() == []


def test_a_changed_message_is_built_again(environment_of, checkout):
    environment_of(checkout).bring_up_to_date()
    (checkout / "msg" / "Segment.msg").write_text("int64 id")
    assert environment_of(checkout).bring_up_to_date() == ["messages"]


def test_a_new_message_is_noticed(environment_of, checkout):
    environment_of(checkout).bring_up_to_date()
    (checkout / "msg" / "Other.msg").write_text("int32 id")
    assert environment_of(checkout).bring_up_to_date() == ["messages"]


def test_a_touched_but_equal_file_changes_nothing(environment_of, checkout):
    environment_of(checkout).bring_up_to_date()
    (checkout / "msg" / "Segment.msg").write_text("int32 id")
    assert environment_of(checkout).bring_up_to_date() == []


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements/torch.txt"])
def test_changed_requirements_are_installed_and_the_messages_built_against_them(environment_of, checkout, name):
    environment_of(checkout).bring_up_to_date()
    (checkout / name).write_text("changed")
    assert environment_of(checkout).bring_up_to_date() == ["packages", "messages"]


def test_a_moved_checkout_gets_a_new_environment(environment_of, checkout, tmp_path):
    environment_of(checkout).bring_up_to_date()
    moved = checkout.rename(tmp_path / "elsewhere")
    assert environment_of(moved).bring_up_to_date() == ALL


def test_another_torch_gets_a_new_environment_that_sees_it(environment_of, checkout, tmp_path):
    environment_of(checkout).bring_up_to_date()
    other = environment_of(checkout, fake_torch(tmp_path / "gpu", "2.13.0", "'13.0'"))
    assert other.bring_up_to_date() == ALL
    assert [path.read_text() for path in other.folder.rglob("*.pth")] == [f"{tmp_path / 'gpu'}\n"]


def test_an_interrupted_installation_starts_from_an_empty_environment(environment_of, checkout):
    environment = environment_of(checkout)
    environment.during_installation = cut_short
    with pytest.raises(KeyboardInterrupt):
        environment.bring_up_to_date()
    half_a_package = environment.folder / "lib" / "half_a_package.py"
    half_a_package.touch()
    assert environment_of(checkout).bring_up_to_date() == ALL
    assert not half_a_package.exists()


def test_an_interrupted_message_build_is_only_built_again(environment_of, checkout):
    environment = environment_of(checkout)
    environment.during_build = cut_short
    with pytest.raises(KeyboardInterrupt):
        environment.bring_up_to_date()
    assert environment_of(checkout).bring_up_to_date() == ["messages"]


def test_an_environment_whose_python_is_gone_is_made_again(environment_of, checkout):
    environment = environment_of(checkout)
    environment.bring_up_to_date()
    environment.python.unlink()
    assert environment_of(checkout).bring_up_to_date() == ALL


def test_an_environment_that_somebody_else_made_is_left_alone(environment_of, steps, checkout):
    own = checkout / ".venv" / "my_own_work"
    own.parent.mkdir()
    own.touch()
    with pytest.raises(steps.SetupError, match="got a foreign one: move it away first"):
        environment_of(checkout).bring_up_to_date()
    assert own.exists()


def test_a_failing_command_shows_the_end_of_its_output(steps, checkout):
    environment = steps.Environment(checkout)
    program = "print('first'); print('the reason'); raise SystemExit(3)"
    with pytest.raises(steps.SetupError, match=r"thing failed \(exit code 3\)") as error:
        environment._call("thing", [sys.executable, "-c", program])
    assert str(error.value).endswith("the reason")
