"""Every fault that a node can meet on a vehicle has a test that carries its number."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROWS = {
    1: "no points", 2: "points that are not finite", 3: "is_dense with NaN", 4: "x y z missing or of a wrong type",
    5: "intensity absent or of another type", 6: "big-endian", 7: "row_step padded, 0 or short",
    8: "data of a wrong size, overflowing sizes", 9: "ten million points", 10: "a cloud outside the grid",
    11: "unusable camera images", 12: "no frame_id, an impossible stamp", 13: "no transform",
    14: "an impossible quaternion", 15: "the clock jumps or is missing", 16: "stamps twice or out of order",
    17: "odd times of points", 18: "faster input than the model, and bursts", 19: "the input stops",
    20: "partners with another QoS, or too many", 21: "nobody listens", 22: "transitions and signals while computing",
    23: "wrong parameters", 24: "an unusable checkpoint", 25: "no such device", 26: "no memory left on the GPU",
    27: "NaN logits", 28: "exceptions and a dead thread", 29: "a slow first cloud", 30: "memory that grows",
    37: "a hostile YAML file",
}


def names(folder: Path) -> set[str]:
    """Names of all test functions below a folder."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in folder.rglob("test_*.py")]
    functions = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


@pytest.fixture(scope="module")
def tests(repository: Path) -> set[str]:
    return names(repository / "test")


@pytest.mark.parametrize("row", ROWS, ids=ROWS.values())
def test_the_fault_has_a_test_named_after_its_row(tests, row):
    prefixes = (f"test_row_{row}_", f"test_row_{row:02d}_")
    assert any(name.startswith(prefixes) for name in tests), f"no test is named {prefixes[0]}..."


def test_the_collection_sees_what_is_there_and_nothing_else(tmp_path):
    (tmp_path / "test_one.py").write_text("def test_row_1_a():\n    pass\n\ndef helper_row_2_b():\n    pass\n")
    (tmp_path / "other.py").write_text("def test_row_3_c():\n    pass\n")
    assert names(tmp_path) == {"test_row_1_a"}
