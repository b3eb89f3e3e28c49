"""Voxel grids of several megabytes between two processes over DDS, with the profile that the package ships."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("pasco.msg", reason="the messages of msg/ are not built")

PEER = Path(__file__).with_name("grid_peer.py")
COUNT = 30
SEGMENT_BYTES = 64 * 1024 * 1024
PERIOD = 0.1  # seconds between two grids


def exchange(layers: int, reliability: str) -> tuple[dict, dict]:
    """What the publishing and the receiving process report of ``COUNT`` grids sent at 10 Hz."""
    arguments = [str(COUNT), str(layers), reliability]
    peers = [
        subprocess.Popen([sys.executable, PEER, role, *arguments], stdout=subprocess.PIPE, text=True)
        for role in ("receive", "publish")
    ]
    try:
        received, sent = (json.loads(peer.communicate(timeout=60)[0]) for peer in peers)
    finally:
        for peer in peers:
            peer.kill()
            peer.wait()
    return sent, received


@pytest.fixture
def room_for_the_segments() -> None:
    """Two processes with a segment each; containers often come with less."""
    if shutil.disk_usage("/dev/shm").free < 3 * SEGMENT_BYTES:
        pytest.skip("/dev/shm has less than 192 MB free: the shared-memory segments of the profile do not fit")


def test_every_grid_of_2_mb_arrives_whole_and_in_order_when_reliable():
    sent, received = exchange(layers=1, reliability="RELIABLE")
    assert sent["sent"] == COUNT
    assert received["numbers"] == list(range(COUNT))
    assert received["intact"] == COUNT


def test_every_grid_with_all_four_layers_arrives_whole_and_in_order_when_reliable():
    _, received = exchange(layers=4, reliability="RELIABLE")
    assert received["numbers"] == list(range(COUNT))
    assert received["intact"] == COUNT


def test_the_profile_gives_the_publisher_a_segment_that_spares_even_best_effort_grids(room_for_the_segments):
    """Without the profile none or one of the thirty arrives: this is what would notice that it is not in force."""
    sent, received = exchange(layers=1, reliability="BEST_EFFORT")
    assert sent["segment_bytes"] >= SEGMENT_BYTES
    assert received["numbers"] == list(range(COUNT))
    assert statistics.median(received["latencies"]) < PERIOD
