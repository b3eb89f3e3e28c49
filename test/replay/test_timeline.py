"""The time line: one column per cloud in the colour of its outcome, and few columns for a long drive."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from pasco_core.evaluation.svg import MAIN, SECOND
from pasco_core.replay.timeline import Moment, timeline
from pasco_core.stream.outcomes import Outcome


def bars(text):
    root = ElementTree.fromstring(text)
    return [(float(r.get("x")), float(r.get("height")), r.get("fill"), r[0].text) for r in root.iter("rect")]


def test_columns_are_as_high_as_their_seconds_in_the_order_of_time():
    moments = [Moment(0.0, 1.0, Outcome.PUBLISHED, 0.5, "a"), Moment(1.0, 2.0, Outcome.PUBLISHED, 1.0, "b"),
               Moment(2.0, 4.0, Outcome.INFERENCE_FAILED, None, "<c>")]
    drawn = bars(timeline(moments, "latency & more"))
    assert [text for *_, text in drawn] == ["a", "b", "<c>"]
    assert sorted(drawn) == drawn and [colour for _, _, colour, _ in drawn] == [MAIN, MAIN, SECOND]
    assert abs(drawn[2][1] - 4 * drawn[0][1]) < 0.5 and abs(drawn[1][1] - 2 * drawn[0][1]) < 0.5
    points = re.search(r'points="([^"]+)"', timeline(moments, ""))[1].split()
    assert len(points) == 2


def test_a_long_drive_has_few_columns_and_no_failure_is_hidden():
    moments = [Moment(i / 10, 0.1, Outcome.PUBLISHED) for i in range(20_000)]
    moments[777] = Moment(77.7, None, Outcome.REJECTED, None, "the one")
    drawn = bars(timeline(moments, ""))
    assert len(drawn) <= 600 and [colour for *_, colour, text in drawn if text == "the one"] == [SECOND]
