"""Every loss term of the original's training, on the original's own logits."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pasco_core.data.datasets.published_frequencies import published_frequencies
from pasco_core.data.label_set import SEMANTIC_KITTI
from pasco_core.losses import inverse_frequency_weights
from pasco_core.sparse import SparseTensor
from pasco_core.systems.pasco.losses import LossConfig, SubnetTarget, completion_losses, mask_losses
from pasco_core.systems.pasco.mask_transformer import MaskPrediction

TOLERANCE = dict(rel=1e-4, abs=1e-4)
NAMES = {
    "class": "loss_ce", "mask": "loss_mask", "dice": "loss_dice", "voxel_query_ce": "ssc_ce_loss",
    "voxel_query_lovasz": "ssc_lovasz_loss",
}


@pytest.fixture(scope="module")
def golden(repository):
    path = repository / "test" / "golden" / "pasco" / "losses_semkitti_n1.npz"
    values = dict(np.load(path, allow_pickle=False))
    values["result"] = json.loads(str(np.ravel(values["result_json"])[0]))
    return SimpleNamespace(**values)


@pytest.fixture(scope="module")
def target(golden) -> SubnetTarget:
    masks = [golden.semantic_label == 9, golden.semantic_label == 15, *(golden.instance_label == i for i in (1, 2, 3))]
    segments = np.zeros(golden.semantic_label.shape, np.int64)
    for number, mask in enumerate(masks, 1):
        segments[mask] = number
    semantics = {s: torch.from_numpy(getattr(golden, f"sem_label_1_{s}")) for s in (1, 2, 4)}
    return SubnetTarget(
        torch.from_numpy(golden.min_C), torch.from_numpy(golden.max_C), semantics, torch.from_numpy(segments),
        torch.from_numpy(golden.mask_labels),
    )


def sparse(coords: np.ndarray, feats: np.ndarray, stride: int) -> SparseTensor:
    rows = np.concatenate([np.zeros((len(coords), 1), np.int32), coords.astype(np.int32)], 1)
    return SparseTensor(torch.from_numpy(rows), torch.from_numpy(feats), stride)


def weights(exponent: float = 1 / 3) -> dict[int, torch.Tensor]:
    frequencies = published_frequencies(SEMANTIC_KITTI)
    return {s: inverse_frequency_weights(frequencies[s].tolist(), exponent) for s in (1, 2, 4)}


@pytest.mark.parametrize(("exponent", "name"), [(1 / 3, "compl_ce"), (1 / 1.5, "compl_ce_k360exp")])
def test_completion_losses_equal_the_original(golden, target, exponent, name):
    logits = {
        s: [sparse(getattr(golden, f"sem_coords_s{s}"), getattr(golden, f"sem_logits_s{s}"), s)] for s in (4, 2, 1)
    }
    terms = completion_losses(logits, [target], weights(exponent), LossConfig.published())
    assert terms["completion_ce"].item() == pytest.approx(golden.result[name], **TOLERANCE)
    assert terms["completion_lovasz"].item() == pytest.approx(golden.result["compl_lovasz"], **TOLERANCE)


@pytest.mark.parametrize("layer", ["final", 0, 1, 2])
def test_mask_losses_of_every_layer_equal_the_original(golden, target, layer):
    prefix = "" if layer == "final" else f"aux{layer}_"
    masks = sparse(getattr(golden, f"{prefix}mask_coords"), getattr(golden, f"{prefix}mask_logits"), 1)
    prediction = MaskPrediction(torch.from_numpy(getattr(golden, f"{prefix}query_logits")), masks)
    terms = mask_losses(prediction, target, weights()[1], LossConfig.published())
    for name, original in NAMES.items():
        results = golden.result["final" if layer == "final" else "aux"]
        expected = results[original if layer == "final" else f"{original}_level{layer}"]
        assert terms[name].item() == pytest.approx(expected, **TOLERANCE), name
