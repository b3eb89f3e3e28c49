"""A bench that holds one node and one client."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def bench():
    """Makes ``NodeBench``es and closes them."""
    pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
    pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")
    from node_bench import NodeBench

    benches = []

    def make(**options):
        benches.append(NodeBench(**options))
        return benches[-1]

    yield make
    for each in benches:
        each.close()


@pytest.fixture
def framed(bench):
    """Makes a started node with a base_frame, and what sends it transforms."""
    pytest.importorskip("tf2_msgs.msg", reason="tf2_msgs is not there: run `make setup`")
    from frames_peer import TF, Frames

    def make(predictor=None, topics=("segments",), **parameters):
        node = bench(topics=topics, predictor=predictor, parameters={**TF, **parameters}).start()
        return node, Frames(node).connected()

    return make
