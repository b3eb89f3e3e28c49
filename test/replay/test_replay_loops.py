"""A recording of a bag that was played in a loop: its stamps begin anew, and nothing of the new run is lost."""

from __future__ import annotations

import pytest
import replay_stand_in as stand_in

from pasco_core.replay import ReplayPlan, begin, replay, settings_from
from pasco_core.stream.outcomes import Outcome


@pytest.mark.parametrize("period", [stand_in.PERIOD * 6, stand_in.PERIOD * 60])  # runs of 1.8 and 18 s
def test_every_cloud_of_a_looped_recording_finds_its_transform(tmp_path, period):
    messages, half = [], stand_in.PERIOD // 2
    for run in range(3):
        for number in range(4):
            stamp, log = stand_in.START + number * period, stand_in.START + (run * 4 + number) * period
            for offset in (-half, half):
                pose = stand_in.transform(stamp + offset, "base", "lidar", float(run))
                messages.append(("/tf", stand_in.TF, log - half // 2 + offset // 4, pose))
            messages.append((stand_in.TOPIC, stand_in.CLOUD, log, stand_in.cloud(stamp, stand_in.points_of(number))))
    settings = settings_from(["base_frame=base"])
    plan = ReplayPlan(
        stand_in.write(tmp_path / "loop", messages), stand_in.TOPIC, 12, loader=stand_in.load, settings=settings
    )
    records = list(replay(begin(plan, tmp_path / "out"), 1))
    assert [record.verdict.outcome for record in records] == [Outcome.PUBLISHED] * 12
    assert [bool(record.flush) for record in records] == [number in (4, 8) for number in range(12)]
