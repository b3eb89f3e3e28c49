"""README and docs: every relative link leads somewhere, and no placeholder is left."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = (
    "README.md", "CHANGELOG.md", "docs/architecture.md", "docs/data.md", "docs/evaluation.md", "docs/model_card.md",
    "docs/node.md", "docs/pictures.md", "docs/replay.md",     "training/README.md",
)


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_to_a_file(repository: Path, page: str):
    text = (repository / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    targets = [link for link in links if "://" not in link]
    missing = [link for link in targets if not (repository / page).parent.joinpath(link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_no_placeholder_is_left(repository: Path, page: str):
    assert not re.search(r"@@|TODO|FIXME|XXX", (repository / page).read_text(encoding="utf-8"))
