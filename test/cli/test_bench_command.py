"""``pasco bench``: the figures are there, add up, and are of the network that was asked for."""

from __future__ import annotations

import json

import pytest
import torch

from pasco_core.benchmark.convolution import children_voxels, measure_convolution, surface_voxels
from pasco_core.cli import main
from pasco_core.sparse import CoordinateSet


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    import contextlib
    import io

    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        options = ["--network", "small", "--no-convolution", "--no-metrics", "--no-replay", "--repeats", "1", "--json"]
        assert main(["bench", *options]) == 0
    return json.loads(text.getvalue())


def test_the_stages_of_the_network_sum_to_its_time(figures):
    seconds = figures["networks"]["small"]["seconds"]
    stages = ("point encoder", "encoder", "bottleneck", "decoder", "mask transformer")
    assert sum(seconds[stage] for stage in stages) == pytest.approx(seconds["network"])
    assert seconds["network"] < seconds["total"]


def test_times_are_given_in_products_of_this_machine(figures):
    small = figures["networks"]["small"]
    assert small["products"]["total"] == pytest.approx(small["seconds"]["total"] / small["product_seconds"])
    assert figures["product_seconds"] > 0


def test_memory_and_kept_voxels_are_reported(figures):
    small = figures["networks"]["small"]
    assert 100e6 < small["peak_bytes"] < 8e9
    assert small["voxels"]["4"] < small["voxels"]["2"] < small["voxels"]["1"]


@pytest.mark.parametrize(("make", "share"), [(surface_voxels, 0.5), (children_voxels, 0.75)])
def test_the_voxel_sets_are_unique_and_about_as_many_as_asked_for(make, share):
    coords = make(20_000)
    assert 0.9 * 20_000 < len(coords) <= 20_000
    assert len(CoordinateSet(coords).index.keys) == len(torch.unique(coords, dim=0))


def test_all_ways_to_convolve_are_timed_and_agree():
    ticks = iter(range(10_000))
    times = measure_convolution("children", 4_000, 8, clock=lambda: float(next(ticks)), repeats=1)
    assert set(times.seconds) == {"ours", "with maps", "gather by mask", "blocks", "plain chunks", "per offset"}
    assert times.difference < 1e-5 and 0.5 < times.pairs_share < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--repeats", "0"], "--repeats to be positive, got 0"),
        (["--subnets", "5", "--network", "full", "--no-convolution"], "n_subnets to be 1 to 4, got 5"),
        (["--device", "cuda:77"], "'cuda:77' to be there"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(capsys, options, message):
    assert main(["bench", *options]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
