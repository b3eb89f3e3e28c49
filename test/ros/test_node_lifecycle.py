"""Lifecycle transitions, during computations too, and parameters over their services."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: run `make setup`")
pytest.importorskip("pasco.msg", reason="the messages are not built: run `make setup`")

from node_bench import wait_for
from pasco.msg import FrameStatus
from rcl_interfaces.srv import DescribeParameters
from ros_stand_in import FakePredictor, load_fake

from pasco_core.errors import CheckpointError
from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.model import Model


def test_the_node_goes_through_its_states_and_can_be_configured_again(bench):
    node = bench(topics=("segments",))
    assert node.lifecycle.wait(10) and node.lifecycle.state() == "unconfigured"
    for _ in range(2):
        assert node.configure() and node.lifecycle.state() == "inactive"
        assert node.activate().lifecycle.state() == "active"
        assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
        assert node.statuses[-1].frames_received == 1
        assert node.lifecycle.change("deactivate", 10) and node.lifecycle.change("cleanup", 10)
        assert node.lifecycle.state() == "unconfigured"
        assert node.node._parts is None
        node.statuses.clear()


def test_row_22_configure_twice_is_refused_and_changes_nothing(bench):
    node = bench(topics=("segments",)).start()
    assert not node.lifecycle.change("configure", 10)
    assert node.lifecycle.state() == "active" and node.send_and_wait().outcome == FrameStatus.PUBLISHED


def test_an_inactive_node_does_not_listen(bench):
    node = bench()
    assert node.configure()
    assert node.client.count_subscribers("/points") == 0


def test_row_22_deactivate_during_a_computation_discards_it_at_once_and_publishes_nothing_more(bench):
    predictor = FakePredictor()
    node = bench(predictor=predictor).start()
    predictor.delay = 1.0
    computed = len(predictor.seen)
    node.send()
    wait_for(lambda: len(predictor.seen) > computed)
    node.send()
    wait_for(lambda: node.node._active.intake.ledger.counts()[0] == 2)
    started = time.monotonic()
    assert node.lifecycle.change("deactivate", 10)
    assert time.monotonic() - started < 0.7
    wait_for(lambda: len(node.statuses) == 2)
    assert {(s.outcome, s.code) for s in node.statuses} == {(FrameStatus.FLUSHED, "DEACTIVATED")}
    assert node.statuses[-1].frames_received == sum(node.statuses[-1].frames_by_outcome)
    time.sleep(1.2)
    assert not any(node.received.values()) and len(node.statuses) == 2
    predictor.delay = 0.0
    node.activate()
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED


def test_row_22_cleanup_during_a_computation_waits_for_it_and_publishes_nothing(bench):
    predictor = FakePredictor()
    node = bench(predictor=predictor).start()
    predictor.delay = 0.8
    node.send()
    wait_for(lambda: len(predictor.seen) == 1)
    worker = node.node._parts.worker
    assert node.lifecycle.change("deactivate", 10) and node.lifecycle.change("cleanup", 10)
    assert not worker.alive and not any(node.received.values())


def test_shutdown_works_from_every_state(bench):
    for prepare in (lambda node: None, lambda node: node.configure()):
        node = bench(topics=())
        assert node.lifecycle.wait(10)
        prepare(node)
        assert node.lifecycle.change("shutdown", 10) and node.lifecycle.state() == "finalized"
        node.close()


def test_row_22_shutdown_during_a_computation_ends_in_finalized(bench):
    predictor = FakePredictor()
    node = bench(predictor=predictor).start()
    predictor.delay = 0.5
    node.send()
    wait_for(lambda: len(predictor.seen) == 1)
    assert node.lifecycle.change("shutdown", 10) and node.lifecycle.state() == "finalized"
    assert not any(node.received.values())


def test_row_24_a_checkpoint_that_cannot_be_loaded_fails_configure_with_the_reason_and_can_be_replaced(bench):
    node = bench(model_loader=load_fake, parameters={"checkpoint": "bad", "diagnostics_period": 0.1},
                 topics=("segments",))
    assert not node.configure() and node.lifecycle.state() == "unconfigured"
    status = node.condition("model", "Configure failed")
    assert status.level == b"\x02" and "CheckpointError: Expected bad to be a whole safetensors" in status.message
    assert not node.configure()
    assert node.set_parameter("checkpoint", "good").successful
    node.start()
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED
    assert node.condition("model", "stand-in").level == b"\x00"


@pytest.mark.parametrize("error", [CheckpointError("torn"), MemoryError("full"), KeyError("encoder.weight")])
def test_row_24_whatever_loading_raises_leaves_the_node_unconfigured_and_alive(bench, error):
    def load(config):
        raise error

    node = bench(model_loader=load)
    for _ in range(2):
        assert not node.configure() and node.lifecycle.state() == "unconfigured"
    assert type(error).__name__ in node.node.health().configure_error


def test_row_24_weights_whose_first_prediction_is_not_finite_fail_configure(bench):
    node = bench(predictor=FakePredictor(fault="nan"), parameters={"warm_up": True})
    assert not node.configure() and "finite" in node.node.health().configure_error


def test_random_weights_are_announced_in_diagnostics(bench):
    node = bench(model_loader=lambda c: Model(FakePredictor(), "untrained", trained=False),
                 parameters={"diagnostics_period": 0.1})
    assert node.configure()
    assert "never trained" in node.condition("model", "random").message


def test_parameters_tell_their_meaning_and_range(bench):
    node = bench(topics=())
    client = node.client.create_client(DescribeParameters, "/panoptic_scene_completion/describe_parameters")
    assert client.wait_for_service(5)
    future = client.call_async(DescribeParameters.Request(names=list(NodeConfig.names())))
    wait_for(future.done)
    described = {d.name: d for d in future.result().descriptors}
    assert set(described) == set(NodeConfig.names()) and all(d.description for d in described.values())
    assert described["max_points"].integer_range[0].from_value == 1
    assert described["uncertainty_threshold"].floating_point_range[0].to_value == 1.0
    assert "publish, skip" in described["empty_cloud"].additional_constraints
    assert "before the node is configured" in described["checkpoint"].additional_constraints


def test_row_23_a_wrong_value_at_run_time_is_rejected_and_the_old_one_kept(bench):
    node = bench(topics=("segments",)).start()
    for name, value, reason in (
        ("uncertainty_threshold", 1.5, "1.5"), ("empty_cloud", "ignore", "publish, skip, got 'ignore'"),
        ("voxel_layers", ["colour"], "got 'colour'"), ("obstacle_max_z", -50.0, "above obstacle_min_z"),
        ("checkpoint", "other", "cleanup"), ("max_points", "many", "Wrong parameter type"),
    ):
        before = node.node.get_parameter(name).value
        result = node.set_parameter(name, value)
        assert not result.successful and reason in result.reason, name
        assert node.node.get_parameter(name).value == before
    assert node.send_and_wait().outcome == FrameStatus.PUBLISHED


def test_fixed_parameters_can_be_changed_before_configure(bench):
    node = bench(model_loader=load_fake, topics=())
    assert node.set_parameter("checkpoint", "other").successful
    assert node.configure() and node.node.health().trained
