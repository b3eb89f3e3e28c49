"""Effort of the computation: what is chosen, what happens when memory runs out, and that it is said."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
import torch
from effort_stand_in import POINTS, LevelledModel

from pasco_core.data.frame import UNKNOWN
from pasco_core.data.plain_scan import plain_scan
from pasco_core.errors import InferenceError
from pasco_core.settings.deadline_settings import LEVELS
from pasco_core.settings.node_config import NodeConfig
from pasco_core.stream.model import Model, load_model, warm_up
from pasco_core.stream.outcomes import FrameReport
from pasco_ros.computing.degradation import Load
from pasco_ros.computing.effort_control import EffortControl, is_out_of_memory

NO_MEMORY = {
    "CUDA": torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "Python": MemoryError(),
    "PyTorch on the CPU": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    "cuBLAS": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
}


def control(stand_in, **config):
    settings = replace(NodeConfig(), **config)
    return EffortControl(stand_in.model(), lambda: settings, clock=lambda: 0.0)


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "pasco_ros")
    caplog.handler.setFormatter(logging.Formatter("%(message)s"))
    logging.getLogger("pasco_ros").propagate = True
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("error", NO_MEMORY.values(), ids=NO_MEMORY)
def test_row_26_out_of_memory_is_tried_once_more_with_less_effort_and_that_level_is_kept(error, lines):
    stand_in = LevelledModel(out_of_memory={"full": error})
    effort, report = control(stand_in), FrameReport()
    scene = effort.predict(POINTS, report)
    assert scene.segments and report.effort == "fewer_subnets" and stand_in.calls == {"full": 1, "fewer_subnets": 1}
    assert "Effort lowered from 'full' to 'fewer_subnets': the memory ran out" in lines()[-1]
    effort.predict(POINTS, report)
    assert stand_in.calls == {"full": 1, "fewer_subnets": 2}


def test_row_26_out_of_memory_twice_fails_with_the_allocators_words_and_the_next_frame_starts_lower():
    stand_in = LevelledModel(out_of_memory={level: NO_MEMORY["CUDA"] for level in LEVELS[:2]})
    effort, report = control(stand_in), FrameReport()
    with pytest.raises(InferenceError, match=r"for effort 'fewer_subnets', got twice: .*Tried to allocate 2.00 GiB"):
        effort.predict(POINTS, report)
    assert sum(stand_in.calls.values()) == 2
    effort.predict(POINTS, report)
    assert report.effort == "shorter_range"


@pytest.mark.parametrize("mode", ["off", "full"])
def test_row_26_where_the_effort_is_fixed_the_second_try_is_made_with_the_same(mode):
    stand_in = LevelledModel(out_of_memory={"full": NO_MEMORY["CUDA"]})
    effort = control(stand_in, degradation=mode)
    with pytest.raises(InferenceError, match="effort 'full'"):
        effort.predict(POINTS, FrameReport())
    assert stand_in.calls == {"full": 2}


def test_row_26_nothing_that_the_failed_computation_allocated_is_kept():
    stand_in = LevelledModel(out_of_memory={level: NO_MEMORY["CUDA"] for level in LEVELS})
    effort = control(stand_in)
    for _ in range(2):
        with pytest.raises(InferenceError):
            effort.predict(POINTS, FrameReport())
    assert stand_in.alive_before == [False] * 4


def test_row_26_the_gpus_cache_is_given_back_before_the_second_try(monkeypatch):
    done = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: done.append("freed"))
    stand_in = LevelledModel(out_of_memory={"full": NO_MEMORY["CUDA"]})
    model = replace(stand_in.model(), predict=lambda *args, **effort: done.append("tried") or stand_in(*args, **effort))
    EffortControl(model, NodeConfig).predict(POINTS, FrameReport())
    assert done == ["tried", "freed", "tried"]


def test_row_26_the_memory_of_a_gpu_is_back_at_its_baseline_after_it_ran_out():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    torch.zeros(1, device="cuda")
    torch.cuda.empty_cache()
    allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()

    def predict(points, effort="full"):
        held = [torch.zeros(2**26, device="cuda") for _ in range(4)]
        if effort == "full":
            held.append(torch.zeros(2**50, device="cuda"))
        return LevelledModel()(points)

    model = Model(predict, "stand-in", levels={"full": None, "semantics_only": "semantics_only"})
    report = FrameReport()
    EffortControl(model, NodeConfig).predict(POINTS, report)
    torch.cuda.empty_cache()
    assert report.effort == "semantics_only"
    assert (torch.cuda.memory_allocated(), torch.cuda.memory_reserved()) == (allocated, reserved)


@pytest.mark.parametrize("error", [ValueError("out of memory"), RuntimeError("boom"), InferenceError("NaN")])
def test_other_errors_are_no_shortage_of_memory_and_are_passed_on_at_once(error):
    assert not is_out_of_memory(error)
    stand_in = LevelledModel(out_of_memory={"full": error})
    with pytest.raises(type(error)):
        control(stand_in).predict(POINTS, FrameReport())
    assert stand_in.calls == {"full": 1}


def test_every_step_is_announced_with_its_reason(lines):
    effort = control(LevelledModel(), target_rate=10.0)
    for _ in range(3):
        effort.observe(Load(0.5, 0.1))
    assert lines() == ["Effort lowered from 'full' to 'fewer_subnets': 3 of the last 3 deadlines were missed"]


def test_a_model_without_levels_is_never_asked_for_less():
    calls = []
    model = Model(lambda points: calls.append(len(points)) or LevelledModel()(points), "stand-in")
    settings = replace(NodeConfig(), degradation="semantics_only")
    report = FrameReport()
    EffortControl(model, lambda: settings).predict(POINTS, report)
    assert calls == [2] and report.effort == "full"


def test_the_shipped_network_has_all_levels_and_the_settings_range():
    settings = replace(NodeConfig(), device="cpu", degraded_range=12.8)
    model = load_model(settings)
    assert tuple(model.levels) == LEVELS and model.levels["shorter_range"].max_range == 12.8
    scene = model.predict_at(plain_scan(), "semantics_only")
    assert scene.semantics[64:].min() == UNKNOWN and scene.segments == [] and len(scene.probability_voxels) > 1000


def test_row_29_every_level_that_may_be_used_is_warmed_up():
    stand_in = LevelledModel()
    warm_up(stand_in.model())
    assert stand_in.calls == {"full": 1}
    warm_up(stand_in.model(), every_level=True)
    assert stand_in.calls == {"full": 2, "fewer_subnets": 1, "shorter_range": 1, "semantics_only": 1}
