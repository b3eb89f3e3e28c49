"""Colours: stable, distinct, in order."""

from __future__ import annotations

import numpy as np
import pytest

from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.viz import instance_colours, scale_colours, stuff_colours


def luminance(rgb: np.ndarray) -> np.ndarray:
    linear = (rgb / 255.0) ** 2.2
    return linear @ (0.2126, 0.7152, 0.0722)


def test_the_scale_begins_and_ends_with_the_colours_of_viridis():
    assert scale_colours(np.array([0.0, 1.0])).tolist() == [[68, 1, 84], [253, 231, 37]]


def test_the_scale_gets_brighter_all_the_way_so_that_it_reads_without_colour_vision():
    assert (np.diff(luminance(scale_colours(np.linspace(0, 1, 100)))) > 0).all()


def test_values_beyond_the_scale_take_the_colour_of_its_end():
    assert np.array_equal(scale_colours(np.array([-3.0, 7.0])), scale_colours(np.array([0.0, 1.0])))


def test_an_instance_has_the_same_colour_in_every_picture():
    alone = instance_colours(np.array([17]))
    among_others = instance_colours(np.arange(1, 40))[16]
    assert np.array_equal(alone[0], among_others)


def test_the_first_64_instances_are_told_apart():
    colours = instance_colours(np.arange(1, 65)).astype(float)
    distance = np.linalg.norm(colours[:, None] - colours[None], axis=2)
    assert distance[~np.eye(64, dtype=bool)].min() > 25
    assert distance[:12, :12][~np.eye(12, dtype=bool)].min() > 60


def test_instances_are_vivid_and_stuff_is_pale():
    spread = np.ptp(instance_colours(np.arange(1, 65)).astype(int), axis=1)
    pale = np.ptp(stuff_colours(SEMANTIC_KITTI)[9:].astype(int), axis=1)
    assert spread.min() > 2 * pale.max()
    assert pale.max() <= 0.2 * 255


def test_zero_dimensional_values_are_taken():
    assert instance_colours(np.array(5)).shape == (3,)
    assert scale_colours(np.float32(0.5)).tolist() == pytest.approx([35, 143, 141], abs=8)


# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency" (2009),
# severity 1, on linear RGB.
DEUTERANOPIA = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
PROTANOPIA = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]


def lightness(rgb: np.ndarray, seen_by: np.ndarray | list) -> np.ndarray:
    """CIE L* of sRGB as somebody sees it."""
    s = rgb / 255.0
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4) @ np.transpose(seen_by)
    y = np.clip(linear, 0, 1) @ (0.2126, 0.7152, 0.0722)
    return np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, y * (29 / 3) ** 3)


@pytest.mark.parametrize("seen_by", [np.eye(3), DEUTERANOPIA, PROTANOPIA], ids=["all", "deuteranopia", "protanopia"])
def test_the_scale_keeps_its_order_and_its_steps_for_the_colour_blind(seen_by: np.ndarray | list):
    steps = np.diff(lightness(scale_colours(np.linspace(0, 1, 21)), seen_by))
    assert steps.min() > 1.5
    assert steps.max() < 3 * steps.min()
