"""docs/architecture.md names every module, and none that is gone."""

from __future__ import annotations

import re
from pathlib import Path


def listed_modules(page: str) -> set[str]:
    modules, folder = set(), ""
    for line in page.splitlines():
        if match := re.match(r"### (\S+)/$", line):
            folder = match.group(1)
        elif match := re.match(r"\| `(\w+\.py)` \| \S", line):
            modules.add(f"{folder}/{match.group(1)}")
    return modules


def test_the_page_lists_exactly_the_modules_that_exist(repository: Path):
    page = (repository / "docs" / "architecture.md").read_text(encoding="utf-8")
    present = {
        path.relative_to(repository).as_posix()
        for folder in ("pasco_core", "pasco_ros", "scripts", "training")
        for path in (repository / folder).rglob("*.py")
        if path.name != "__init__.py"
    }
    assert listed_modules(page) == present
