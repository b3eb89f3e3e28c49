"""Writes what the documents take from the code: module tables, the node's parameters and its parameter file.

``make documents`` runs it; tests compare the documents with what it would write.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
# In the order in which a reader meets them: a scan's way through the core first.
PACKAGES = (
    "pasco_core", "pasco_core/geometry", "pasco_core/data", "pasco_core/sparse", "pasco_core/nn", "pasco_core/systems",
    "pasco_core/losses", "pasco_core/metrics", "pasco_core/evaluation", "pasco_core/checkpoints", "pasco_core/viz",
    "pasco_core/benchmark", "pasco_core/cli", "pasco_core", "pasco_ros", "training", "scripts",
)


def main() -> int:
    """Write every document that differs; prints their names."""
    sys.path.insert(0, str(REPOSITORY))
    for name, text in documents().items():
        path = REPOSITORY / name
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{name}\n")
    return 0


def documents() -> dict[str, str]:
    """Name in the repository → what should stand there."""
    from pasco_ros.fusion.settings import FusedOutputSettings, FusionSettings
    from pasco_ros.launching.rviz_layouts import layouts
    from pasco_ros.settings.documents import parameter_table, parameter_yaml
    from pasco_ros.simulation.settings import CarSettings, DriveSettings

    return {
        "docs/architecture.md": _with_parts("docs/architecture.md", {"modules": module_tables()}),
        "docs/node.md": _with_parts("docs/node.md", {
            "parameters": parameter_table(),
            "parameters of simulated_town": parameter_table((DriveSettings, CarSettings)),
            "parameters of scene_fusion": parameter_table((FusionSettings, FusedOutputSettings)),
        }),
        "config/panoptic_scene_completion.yaml": parameter_yaml(),
        "config/scene_fusion.yaml": parameter_yaml((FusionSettings, FusedOutputSettings), "scene_fusion"),
        "config/simulated_town.yaml": parameter_yaml((DriveSettings, CarSettings), "simulated_town"),
        **{f"config/{name}": text for name, text in layouts().items()},
    }


def module_tables() -> str:
    """One table per folder with the purpose of every module, from the first sentence of its docstring."""
    parts = []
    for folder in _folders():
        modules = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
        if not modules:
            continue
        purpose = _purpose(folder / "__init__.py")
        rows = [f"| `{path.name}` | {_purpose(path)} |" for path in modules]
        head = [f"### {folder.relative_to(REPOSITORY).as_posix()}/", "", *([f"{purpose}.", ""] if purpose else [])]
        parts.append("\n".join([*head, "| module | purpose |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _folders() -> list[Path]:
    """Every folder of the packages, each once, parents before children."""
    seen: dict[Path, None] = {}
    for name in PACKAGES:
        top = REPOSITORY / name
        # The core's own modules come first, and what of its folders has no place in the order comes later.
        inside = [] if name == "pasco_core" and not seen else sorted(p for p in top.rglob("*") if p.is_dir())
        for folder in (top, *inside):
            seen.setdefault(folder)
    return list(seen)


def _purpose(module: Path) -> str:
    if not module.exists():
        return ""
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split()).rstrip(".").replace("|", "\\|")


def _with_parts(name: str, parts: dict[str, str]) -> str:
    """The document with the text of every part, between ``<!-- part -->`` and ``<!-- end of part -->``, replaced."""
    page = (REPOSITORY / name).read_text(encoding="utf-8")
    for part, text in parts.items():
        before, rest = page.split(f"<!-- {part} -->\n", 1)
        after = rest.split(f"<!-- end of {part} -->", 1)[1]
        page = f"{before}<!-- {part} -->\n{text}<!-- end of {part} -->{after}"
    return page


if __name__ == "__main__":
    raise SystemExit(main())
