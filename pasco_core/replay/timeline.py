"""A replay over time as inline SVG: one column per cloud, as high as its seconds, in the colour of its outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from pasco_core.evaluation.svg import FAINT, GRID, MAIN, SECOND, svg_line, svg_picture, svg_text
from pasco_core.stream.outcomes import Outcome

_WIDTH, _HEIGHT = 1180, 220
_MOST_COLUMNS = 600
_AMBER = "#e0a800"
COLOURS: Mapping[Outcome, str] = {Outcome.PUBLISHED: MAIN, Outcome.EMPTY: FAINT, Outcome.DROPPED_OVERLOAD: _AMBER,
                                  Outcome.DROPPED_STALE: _AMBER, Outcome.DROPPED_DUPLICATE: FAINT,
                                  Outcome.FLUSHED: FAINT}
"""Other outcomes are failures."""


@dataclass(frozen=True)
class Moment:
    """One cloud on the time line.

    Args:
        time: seconds since the first cloud.
        seconds: height of its column; None: none.
        outcome: colour of its column.
        score: 0 to 1, drawn as a line; None: none.
        text: shown when pointed at.
    """

    time: float
    seconds: float | None
    outcome: Outcome
    score: float | None = None
    text: str = ""


def timeline(moments: Sequence[Moment], title: str) -> str:
    """The picture; of many clouds in one column the slowest stands for all, and failures go first."""
    left, right, top, floor = 46, _WIDTH - 12, 30, _HEIGHT - 30
    scale = _Scale(moments, left, right, top, floor)
    parts = [svg_text(left, 18, title, weight=600), svg_line(left, floor, right, floor)]
    for tick in range(1, 5):
        y = floor - (floor - top) * tick / 4
        parts += [svg_line(left, y, right, y, GRID),
                  svg_text(left - 6, y + 4, f"{scale.most * tick / 4:.2g} s", size=11, fill=FAINT, anchor="end")]
    parts.append(svg_text(left, _HEIGHT - 8, "0 s", size=11, fill=FAINT))
    parts.append(svg_text(right, _HEIGHT - 8, f"{scale.last:.1f} s", size=11, fill=FAINT, anchor="end"))
    columns: dict[int, Moment] = {}
    for moment in moments:
        place = scale.column(moment.time)
        columns[place] = max(columns.get(place, moment), moment, key=_weight)
    parts += [_column(scale, moment) for moment in columns.values()]
    scored = [(scale.x(m.time), floor - (floor - top) * m.score) for m in moments if m.score is not None]
    if scored:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in scored)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{SECOND}" stroke-width="1.5"/>')
        parts.append(svg_text(right, 18, "line: mIoU of the cloud, 0 to 1", size=11, fill=SECOND, anchor="end"))
    return svg_picture(_WIDTH, _HEIGHT, parts, title)


def _weight(moment: Moment) -> tuple[bool, float]:
    """What of several clouds is worth seeing most."""
    return moment.outcome not in COLOURS, moment.seconds or 0.0


class _Scale:
    def __init__(self, moments: Sequence[Moment], left: float, right: float, top: float, floor: float) -> None:
        self.most = max((m.seconds or 0.0 for m in moments), default=0.0) or 1.0
        self.last = max((m.time for m in moments), default=0.0) or 1.0
        self._left, self._room, self.floor, self._tall = left, right - left, floor, floor - top
        self._columns = max(1, min(_MOST_COLUMNS, len(moments)))

    @property
    def bar(self) -> float:
        return min(40.0, max(1.0, 0.8 * self._room / self._columns))

    def column(self, time: float) -> int:
        return round(time / self.last * (self._columns - 1))

    def x(self, time: float) -> float:
        return self._left + (self.column(time) + 0.5) / self._columns * self._room

    def high(self, seconds: float) -> float:
        return self._tall * seconds / self.most


def _column(scale: _Scale, moment: Moment) -> str:
    high = max(4.0, scale.high(moment.seconds or 0.0))
    x = scale.x(moment.time) - scale.bar / 2
    colour = COLOURS.get(moment.outcome, SECOND)
    return (
        f'<rect x="{x:.1f}" y="{scale.floor - high:.1f}" width="{scale.bar:.1f}" height="{high:.1f}" fill="{colour}">'
        f"<title>{escape(moment.text)}</title></rect>"
    )
