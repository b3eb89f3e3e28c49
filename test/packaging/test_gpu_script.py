"""The script for a CUDA machine, run here on the CPU: its checks can pass, and they can fail."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from pasco_core.sparse import ops


@pytest.fixture(scope="module")
def script(repository):
    spec = importlib.util.spec_from_file_location("bench_gpu", repository / "scripts" / "bench_gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_cpu_equals_itself_and_the_goldens(script):
    assert max(script.check_operations("cpu").values()) == 0
    assert max(script.check_goldens("cpu").values()) < 1e-4


def test_a_convolution_that_differs_between_two_runs_is_found(script, monkeypatch):
    right, calls = ops.strided_conv, []

    def wrong_every_second_time(x, kernel):
        calls.append(1)
        return right(x, kernel * (1 + 1e-6 * (len(calls) % 2)))

    monkeypatch.setattr(ops, "strided_conv", wrong_every_second_time)
    with pytest.raises(AssertionError, match="strided_conv"):
        script.check_operations("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_without_a_cuda_device_it_says_so(script, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["bench_gpu.py"])
    assert script.main() == 1
    assert "Expected a CUDA device" in capsys.readouterr().err
