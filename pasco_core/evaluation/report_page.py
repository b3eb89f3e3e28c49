"""The frame of the report: one HTML page that needs nothing else, in light and dark, on screen and paper."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

from pasco_core.evaluation.table import Table, cell_text, is_number

STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --panel: #f6f7f9; --ink: #1b2430; --faint: #66717f;
  --line: #dde2e8; --main: #2f6fb4; --second: #d1495b; --mark: #eef4fb; }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --panel: #1c2229; --ink: #e6eaef; --faint: #96a1ae;
  --line: #313a45; --main: #6aa9e9; --second: #f07f8f; --mark: #1f2c3a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 28px 24px 80px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 4px; } h2 { font-size: 20px; margin: 44px 0 10px; }
h3 { font-size: 15px; margin: 22px 0 6px; }
p { max-width: 90ch; } .faint, figcaption, caption { color: var(--faint); } a { color: var(--main); }
nav { margin: 18px 0; display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 14px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); gap: 12px; margin: 22px 0; }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 10px 14px; }
.card b { display: block; font-size: 26px; line-height: 1.25; font-variant-numeric: tabular-nums; }
.card span { color: var(--faint); font-size: 13px; }
.note { background: #ffd66633; border-left: 4px solid #e0a800; padding: 6px 12px; margin: 8px 0; }
.wide { overflow-x: auto; margin: 10px 0 18px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
caption { text-align: left; padding: 0 0 6px; } th, td { padding: 4px 8px; border-bottom: 1px solid var(--line); }
th { font-weight: 600; text-align: left; } th, td { white-space: nowrap; } td.n, th.n { text-align: right; }
thead th { border-bottom: 2px solid var(--faint); } tr.published td { color: var(--faint); font-style: italic; }
tr.lead td { background: var(--mark); font-weight: 600; }
table.facts td { white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.row { display: flex; flex-wrap: wrap; gap: 18px; }
figure { margin: 14px 0; } img { max-width: 100%; height: auto; border-radius: 8px; border: 1px solid var(--line); }
svg { max-width: 100%; height: auto; } svg text { font-family: inherit; }
code { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
@media print { main { max-width: none; padding: 0; } nav { display: none; } h2 { break-after: avoid; } }
"""


def page(title: str, subtitle: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """The whole document.

    Args:
        title: of the page.
        subtitle: below it; text.
        sections: id, heading and HTML of each section; one without heading stands above the table of contents.
    """
    links = "".join(f'<a href="#{name}">{escape(heading)}</a>' for name, heading, _ in sections if heading)
    head = "".join(body for _, heading, body in sections if not heading)
    rest = "".join(
        f'<section id="{name}"><h2>{escape(heading)}</h2>{body}</section>'
        for name, heading, body in sections
        if heading
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f'<header><h1>{escape(title)}</h1><div class="faint">{escape(subtitle)}</div></header>{head}'
        f"<nav>{links}</nav>{rest}</main></body></html>\n"
    )


def html_table(table: Table) -> str:
    """A table with its caption; published rows in italics, the leading one set off."""
    head = "".join(_cell("th", text, right) for text, right in zip(table.header, table.numeric_columns()))
    body = "".join(_html_row(table, i, row) for i, row in enumerate(table.rows))
    caption = f"<caption>{escape(table.note)}</caption>" if table.note else ""
    return (
        f'<h3>{escape(table.title)}</h3><div class="wide"><table>{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _html_row(table: Table, index: int, row: Sequence[object]) -> str:
    kind = "published" if index in table.published else "lead" if index == table.lead else ""
    cells = "".join(_cell("td", cell_text(value), is_number(value)) for value in row)
    return f'<tr class="{kind}">{cells}</tr>' if kind else f"<tr>{cells}</tr>"


def _cell(tag: str, text: str, right: bool) -> str:
    return f'<{tag} class="n">{escape(text)}</{tag}>' if right else f"<{tag}>{escape(text)}</{tag}>"


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and texts in two columns."""
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    return f'<div class="wide"><table class="facts"><tbody>{body}</tbody></table></div>'


def cards(entries: Iterable[tuple[str, str, str]]) -> str:
    """Large numbers with a name, and what they mean as a tooltip."""
    body = "".join(
        f'<div class="card" title="{escape(meaning)}"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for name, value, meaning in entries
    )
    return f'<div class="cards">{body}</div>'


def notes(lines: Iterable[str]) -> str:
    """Sentences a reader must not miss."""
    return "".join(f'<div class="note">{escape(line)}</div>' for line in lines)


def row_of(*parts: str) -> str:
    """Things side by side, as far as there is room."""
    return f'<div class="row">{"".join(f"<figure>{part}</figure>" for part in parts)}</div>'


def picture(png: bytes, caption: str) -> str:
    """A PNG inside the page."""
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"
