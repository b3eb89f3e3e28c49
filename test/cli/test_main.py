"""The ``pasco`` command: help at once, one line for every mistake, exit codes a script can rely on."""

from __future__ import annotations

import subprocess
import sys
import time
import types

import pytest

from pasco_core import __version__
from pasco_core.cli import COMMANDS, main
from pasco_core.errors import CheckpointError, CloudError, ConfigError


@pytest.fixture
def command(monkeypatch):
    """A sub-command ``probe`` that does what the test says."""

    def install(run) -> None:
        module = types.ModuleType("probe_command")
        module.add_arguments = lambda parser: parser.add_argument("--count", type=int)
        module.run = run
        monkeypatch.setitem(sys.modules, "probe_command", module)
        monkeypatch.setitem(COMMANDS, "probe", ("probe_command", "probe things"))

    return install


def python(repository, code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, timeout=60)


def test_help_lists_every_command_without_importing_torch_or_numpy(repository):
    result = python(repository, "import sys; from pasco_core.cli import main; code = main(['--help']); "
                                "sys.exit(code or any(m in sys.modules for m in ('torch', 'numpy', 'scipy', 'PIL')))")
    assert result.returncode == 0, result.stderr
    assert all(f"  {name}" in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", ["infer", "convert", "bench"])
def test_help_of_a_command_shows_an_example_without_importing_torch(repository, name):
    result = python(repository, f"import sys; from pasco_core.cli import main; code = main(['{name}', '--help']); "
                                "sys.exit(code or 'torch' in sys.modules)")
    assert result.returncode == 0, result.stderr
    assert "example" in result.stdout and f"  pasco {name} " in result.stdout and "--json" in result.stdout


def test_help_answers_within_a_fraction_of_a_second(repository):
    def seconds() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "pasco_core", "--help"], cwd=repository, capture_output=True, check=True)
        return time.perf_counter() - started

    bare = min(_timed([sys.executable, "-c", "pass"]) for _ in range(3))
    assert min(seconds() for _ in range(3)) - bare < 0.3


def _timed(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(arguments, check=True)
    return time.perf_counter() - started


def test_without_a_command_the_help_goes_to_stderr_and_the_use_was_wrong(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "commands:" in err


def test_the_version_is_the_package_s(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pasco {__version__}\n"


@pytest.mark.parametrize(("name", "hint"), [
    ("ifner", "did you mean 'infer'?"), ("covert", "did you mean 'convert'?"), ("qqq", "the commands are infer, "),
    ("--jsn", "`pasco --help` lists the commands"),
])
def test_an_unknown_command_gets_a_suggestion(capsys, name, hint):
    assert main([name]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and name in err and hint in err


@pytest.mark.parametrize(("error", "code", "message"), [
    (ConfigError("Expected --x to be y, got z"), 2, "Expected --x to be y, got z"),
    (CheckpointError("Expected a to be b, got c"), 1, "Expected a to be b, got c"),
    (CloudError("Expected d to be e, got f", "EMPTY"), 1, "Expected d to be e, got f"),
    (FileNotFoundError(2, "No such file or directory", "some/where"), 1, "some/where: No such file or directory"),
    (PermissionError(13, "Permission denied", "locked"), 1, "locked: Permission denied"),
    (OSError(28, "No space left on device"), 1, "No space left on device"),
    (KeyboardInterrupt(), 130, "interrupted"),
])
def test_a_user_s_mistake_is_one_line_on_stderr_and_an_exit_code(capsys, command, error, code, message):
    def run(args):
        raise error

    command(run)
    assert main(["probe"]) == code
    out, err = capsys.readouterr()
    assert out == "" and err == f"pasco probe: error: {message}\n"


def test_wrong_options_are_wrong_use_and_say_the_usage(capsys, command):
    command(lambda args: 0)
    assert main(["probe", "--count", "many"]) == 2
    assert main(["probe", "--nonsense"]) == 2
    err = capsys.readouterr().err
    assert "usage: pasco probe" in err and "invalid int value: 'many'" in err and "--nonsense" in err


def test_a_defect_of_ours_is_not_hidden_as_a_user_s_mistake(command):
    def run(args):
        raise ZeroDivisionError

    command(run)
    with pytest.raises(ZeroDivisionError):
        main(["probe"])


def test_the_exit_code_of_a_command_is_passed_on(command):
    command(lambda args: 7)
    assert main(["probe", "--count", "3"]) == 7


def test_a_reader_that_goes_away_causes_no_complaint(repository):
    code = ("import sys; from pasco_core.cli import main, COMMANDS; import types; m = types.ModuleType('m');\n"
            "m.add_arguments = lambda p: None\n"
            "def run(args):\n    for i in range(100000): print('line', i)\n    return 0\n"
            "m.run = run; sys.modules['m'] = m; COMMANDS['m'] = ('m', 'x'); sys.exit(main(['m']))")
    writer = subprocess.Popen([sys.executable, "-c", code], cwd=repository, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    writer.stdout.readline()
    writer.stdout.close()
    assert writer.stderr.read() == b""
    assert writer.wait(timeout=60) == 141
    writer.stderr.close()
