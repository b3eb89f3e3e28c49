"""The client of the lifecycle services gives up when it is told to."""

from __future__ import annotations

import threading
import time

import pytest

rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")

from pasco_core.errors import PascoError  # noqa: E402
from pasco_ros.demo.lifecycle_client import LifecycleClient  # noqa: E402


@pytest.fixture
def client():
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("client_under_test", context=context)
    yield LifecycleClient(node, "/nobody")
    node.destroy_node()
    rclpy.shutdown(context=context)


def test_waiting_for_a_node_that_never_appears_ends_when_given_up(client):
    started = time.monotonic()
    threading.Timer(0.3, client.give_up).start()
    assert client.wait(60.0) is False
    assert time.monotonic() - started < 10


def test_a_call_nobody_answers_ends_when_given_up_and_names_the_node(client):
    threading.Timer(0.3, client.give_up).start()
    with pytest.raises(PascoError, match="Expected /nobody to answer 'get_state'"):
        client.state(60.0)


def test_waiting_ends_after_the_given_time(client):
    assert client.wait(0.2) is False
