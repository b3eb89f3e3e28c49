"""What the documents take from the code is what the code says now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def writer(repository: Path):
    spec = importlib.util.spec_from_file_location("write_documents", repository / "scripts" / "write_documents.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_document_holds_what_the_code_says(repository: Path, writer):
    for name, text in writer.documents().items():
        assert (repository / name).read_text(encoding="utf-8") == text, f"make documents writes {name}"


def test_the_architecture_page_lists_every_module_with_a_purpose(repository: Path):
    listed, folder = set(), ""
    for line in (repository / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"### (\S+)/$", line):
            folder = match.group(1)
        elif match := re.match(r"\| `(\w+\.py)` \| \S", line):
            listed.add(f"{folder}/{match.group(1)}")
    present = {
        path.relative_to(repository).as_posix()
        for folder in ("pasco_core", "pasco_ros", "scripts", "training")
        for path in (repository / folder).rglob("*.py")
        if path.name != "__init__.py"
    }
    assert listed == present
