"""The virtual node against a clock that ticks: same drops, same ages, every cloud exactly one fate."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pasco_core.replay.virtual_node import Arrival, VirtualNode
from pasco_core.stream.outcomes import Outcome, Verdict

OK = Verdict(Outcome.PUBLISHED)
MS = 1_000_000


def fates_of(arrivals, max_age=0.0):
    node = VirtualNode(max_age)
    fates = [fate for arrival in arrivals for fate in node.arrive(arrival)]
    fates += node.end()
    assert len({fate.number for fate in fates}) == len(fates)
    return {fate.number: fate for fate in fates}


def ticking(arrivals, max_age):
    """The same, millisecond by millisecond: number → (outcome, age in ms or None)."""
    found, waiting, running = {}, None, None
    queue = list(arrivals)
    time = 0
    while queue or waiting or running:
        if running and running[1] == time:
            cloud = running[0]
            age = time - cloud.stamp // MS
            late = max_age and age > 1000 * max_age
            found[cloud.number] = ("DROPPED_STALE", None) if late else ("PUBLISHED", age)
            running = None
        while True:  # what waits goes first, then what arrives now
            if waiting and not running:
                cloud, waiting = waiting, None
                if max_age and time - cloud.stamp // MS > 1000 * max_age:
                    found[cloud.number] = ("DROPPED_STALE", None)
                    continue
                running = (cloud, time + round(1000 * cloud.latency))
            if not (queue and queue[0].received == time * MS):
                break
            if waiting:
                found[waiting.number] = ("DROPPED_OVERLOAD", None)
            waiting = queue.pop(0)
        time += 1
    return found


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 150), st.integers(0, 40)), min_size=1, max_size=25),
    st.sampled_from([0.0, 0.05, 0.1]),
)
def test_the_virtual_node_does_what_a_ticking_clock_does(steps, max_age):
    time, arrivals = 1000, []
    for number, (gap, latency, delay) in enumerate(steps):
        time += gap
        arrivals.append(Arrival(number, time * MS, (time - delay) * MS, latency / 1000, OK))
    fates = fates_of(arrivals, max_age)
    expected = ticking(arrivals, max_age)
    got = {n: (f.verdict.outcome.name, None if f.age is None else round(1000 * f.age)) for n, f in fates.items()}
    assert got == expected and sorted(fates) == list(range(len(steps)))


def test_a_refused_cloud_costs_no_time_and_keeps_its_verdict():
    refused = Verdict(Outcome.REJECTED, "LAYOUT", "why")
    arrivals = [Arrival(0, 0, 0, 0.5, OK), Arrival(1, 100 * MS, 0, 0.5, refused, refused=True),
                Arrival(2, 600 * MS, 600 * MS, 0.5, OK)]
    fates = fates_of(arrivals)
    assert fates[1].verdict == refused and fates[1].waited is None
    assert fates[2].waited == 0 and fates[2].delay == 0.5


def test_a_jump_of_the_clock_discards_what_is_on_its_way():
    jump = Verdict(Outcome.FLUSHED, "CLOCK_JUMP", "back")
    arrivals = [Arrival(0, 0, 0, 1.0, OK), Arrival(1, 100 * MS, 100 * MS, 1.0, OK),
                Arrival(2, 200 * MS, 0, 1.0, OK, flush=jump)]
    fates = fates_of(arrivals)
    assert [fates[n].verdict.outcome for n in range(3)] == [Outcome.FLUSHED, Outcome.FLUSHED, Outcome.PUBLISHED]
    assert fates[2].waited == 0
