"""Who may import whom, read off the source text, so that it holds for code no other test runs."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROS = {"ament_index_python", "builtin_interfaces", "launch", "launch_ros", "pasco", "rclpy", "tf2_py", "tf2_ros"}
LIGHTNING = {"lightning", "lightning_fabric", "pytorch_lightning", "lightning_utilities"}
# What a distribution is called in an import, where that differs from its own name.
MODULE_NAMES = {"pillow": "PIL", "pyyaml": "yaml", "connected-components-3d": "cc3d"}
# Never a dependency: used where somebody has built it, by a backend that is loaded only then.
ACCELERATORS = {"MinkowskiEngine"}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Top-level name of each absolute import, and whether the import runs when the module is loaded for certain."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    always = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], id(node) in always) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0], id(node) in always


def importers(package: str, forbidden) -> list[str]:
    found = ((path.relative_to(ROOT), name) for path in sources(package) for name, _ in imports(path))
    return [f"{path} imports {name}" for path, name in found if forbidden(name)]


def is_ros(name: str) -> bool:
    interface_package = name.endswith(("_msgs", "_srvs", "_interfaces"))
    return interface_package or name in ROS or name.startswith(("rcl", "rosidl", "rosbag2"))


def test_the_rules_below_look_at_real_files():
    assert len(sources("pasco_core")) > 20
    assert len(sources("pasco_ros")) > 5


def test_the_core_imports_no_ros_package():
    assert importers("pasco_core", is_ros) == []


def test_the_core_imports_no_training_framework():
    assert importers("pasco_core", lambda name: name in LIGHTNING) == []


def test_the_core_imports_neither_the_nodes_nor_the_training_code():
    assert importers("pasco_core", lambda name: name in {"pasco_ros", "training"}) == []


def test_the_nodes_do_not_import_the_training_code():
    assert importers("pasco_ros", lambda name: name == "training" or name in LIGHTNING) == []


def test_the_training_code_does_not_import_the_nodes_or_ros():
    assert importers("training", lambda name: name == "pasco_ros" or is_ros(name)) == []


def declared_modules() -> tuple[set[str], set[str]]:
    """Modules of the required and of the optional dependencies that pyproject.toml names."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    required = re.search(r"^dependencies = \[(.*?)^\]", text, re.M | re.S)
    optional = re.search(r"^\[project\.optional-dependencies\]\n(.*?)^\[", text, re.M | re.S)
    assert required and optional

    def modules(block: str) -> set[str]:
        names = re.findall(r"\"([A-Za-z0-9-]+)[^\"]*\"", block)
        return {MODULE_NAMES.get(name, name.replace("-", "_")) for name in names}

    return modules(required[1]), modules(optional[1])


def test_the_core_is_loaded_with_nothing_but_its_required_dependencies():
    required, _ = declared_modules()
    allowed = required | set(sys.stdlib_module_names) | {"pasco_core"}
    foreign = {
        f"{path.relative_to(ROOT)} imports {name} when it is loaded"
        for path in sources("pasco_core")
        for name, always in imports(path)
        if always and name not in allowed and not (path.parent.name == "backends" and name in ACCELERATORS)
    }
    assert foreign == set()


@pytest.mark.parametrize("package", ["pasco_core", "pasco_ros", "training"])
def test_every_import_is_declared_as_a_dependency(package):
    required, optional = declared_modules()
    allowed = required | optional | set(sys.stdlib_module_names) | ACCELERATORS
    allowed |= {"pasco_core", "pasco_ros", "training"}
    foreign = importers(package, lambda name: name not in allowed and not (package == "pasco_ros" and is_ros(name)))
    assert foreign == []


@pytest.mark.parametrize("package", ["pasco_core", "pasco_ros"])
def test_every_folder_with_code_is_a_package(package):
    """The ROS build installs what find_packages() sees; a folder without __init__.py would be missing there."""
    folders = {path.parent for path in sources(package)}
    assert [str(folder.relative_to(ROOT)) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_no_python_package_takes_the_name_of_the_messages():
    assert not (ROOT / "pasco").exists() and not (ROOT / "pasco.py").exists()


@pytest.mark.parametrize("folder", ["launch", "config", "msg", "test"])
def test_a_folder_that_shares_its_name_with_a_library_is_no_package(folder):
    assert not (ROOT / folder / "__init__.py").exists()
