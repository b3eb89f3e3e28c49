"""The files that make this a ROS 2 package agree with each other and with the code."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import pasco_core

ROOT = Path(__file__).resolve().parents[2]
MESSAGES = sorted((ROOT / "msg").glob("*.msg"))
FIELD = re.compile(r"^(?P<type>[\w/]+(?:\[\d*\])?)\s+(?P<name>[a-z]\w*)(?:\s+[^#=\s]+)?\s*(?:#\s*(?P<comment>.+))?$")
CONSTANT = re.compile(r"^[\w/]+\s+[A-Z]\w*\s*=")


def package_xml() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "package.xml").getroot()


def test_package_xml_is_accepted_by_the_tool_that_ros_builds_read_it_with():
    catkin_pkg = pytest.importorskip("catkin_pkg.package", reason="catkin_pkg is not installed")
    warnings: list[str] = []
    package = catkin_pkg.parse_package(str(ROOT), warnings=warnings)
    assert (package.name, warnings) == ("pasco", [])


def test_package_xml_and_the_library_name_the_same_version():
    assert package_xml().findtext("version") == pasco_core.__version__


def test_package_xml_and_the_licence_file_name_the_same_licence():
    assert package_xml().findtext("license") == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def imported_ros_packages() -> set[str]:
    """ROS packages that the nodes and the launch files import."""
    names = set()
    for path in [*(ROOT / "pasco_ros").rglob("*.py"), *(ROOT / "launch").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module else []
            names |= {module.split(".")[0] for module in modules}
    names = {"tf2_ros_py" if name == "tf2_ros" else name for name in names}  # the package of that module
    packages = {"rclpy", "launch", "launch_ros", "ament_index_python", "tf2_ros_py"}
    return {name for name in names if name in packages or name.endswith(("_msgs", "_interfaces", "_srvs"))}


def test_package_xml_names_every_ros_package_that_the_nodes_import():
    root = package_xml()
    declared = {element.text for kind in ("depend", "exec_depend") for element in root.findall(kind)}
    assert imported_ros_packages() - declared == set()
    assert "rclpy" in imported_ros_packages()


def test_the_build_names_every_message_file():
    listed = re.findall(r"^\s+(msg/\w+\.msg)$", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"), re.M)
    assert sorted(listed) == [f"msg/{path.name}" for path in MESSAGES]


def scripts_of(text: str) -> set[tuple[str, str]]:
    return {(name, target) for name, target in re.findall(r"^\s*(\w+) = \"?([\w.]+:\w+)\"?$", text, re.M)}


def test_pip_and_colcon_install_the_same_pasco_command():
    with_pip = scripts_of((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    with_colcon = scripts_of((ROOT / "cmake" / "pasco_core_entry_points.cfg").read_text(encoding="utf-8"))
    assert with_pip == with_colcon == {("pasco", "pasco_core.cli:main")}


@pytest.mark.parametrize("name", ["pasco_core_entry_points.cfg", "pasco_ros_entry_points.cfg"])
def test_every_installed_executable_starts_a_function_that_exists(name):
    scripts = scripts_of((ROOT / "cmake" / name).read_text(encoding="utf-8"))
    assert scripts
    for _, target in scripts:
        module, function = target.split(":")
        path = ROOT.joinpath(*module.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        defined |= {a.asname or a.name for node in tree.body if isinstance(node, ast.ImportFrom) for a in node.names}
        assert function in defined, f"{target}: no such function"


def message_lines(path: Path) -> list[tuple[str, str]]:
    """Each field or constant line, with the line above it."""
    lines = [line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [(line, above) for above, line in zip(["", *lines], lines) if line and not line.startswith("#")]


def test_the_messages_are_those_that_consumers_know():
    assert [path.stem for path in MESSAGES] == ["FrameStatus", "Segment", "SegmentArray", "VoxelGrid", "VoxelLayer"]


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_every_field_of_a_message_says_what_it_holds(path):
    for line, above in message_lines(path):
        if CONSTANT.match(line):
            continue
        field = FIELD.match(line)
        assert field, f"{path.name}: not understood: {line}"
        comment = field["comment"] or (above[1:].strip() if above.startswith("#") else "")
        assert len(comment) >= 10, f"{path.name}: {field['name']} has no description"


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_every_real_number_of_a_message_has_a_unit_or_a_range(path):
    for line, _ in message_lines(path):
        field = None if CONSTANT.match(line) else FIELD.match(line)
        if field and field["type"].startswith("float"):
            assert re.search(r"\[\w+\]|0\.\.1|probability|unit", field["comment"] or ""), f"{path.name}: {line}"


def test_the_payload_of_a_layer_is_bytes():
    """Other arrays take up to a hundred times longer to fill from Python."""
    fields = [FIELD.match(line) for line, _ in message_lines(ROOT / "msg" / "VoxelLayer.msg")]
    assert [field["type"] for field in fields if field and field["name"] == "data"] == ["uint8[]"]


def test_the_built_messages_are_those_of_the_sources():
    built = pytest.importorskip("pasco.msg", reason="the messages of msg/ are not built")
    for path in MESSAGES:
        names = [field["name"] for line, _ in message_lines(path) if (field := FIELD.match(line))]
        assert list(getattr(built, path.stem).get_fields_and_field_types()) == names
