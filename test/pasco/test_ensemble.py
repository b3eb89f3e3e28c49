"""Sparse ensembling against a dense one written for a small grid, and panoptic inference on hand-made masks."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from pasco_core.geometry import VoxelGrid
from pasco_core.geometry.rigid import warp_voxels
from pasco_core.sparse import SparseTensor
from pasco_core.systems.pasco.ensemble import (
    MaskScene,
    ensemble_masks,
    ensemble_semantics,
    soft_iou,
    subnet_mask_scene,
)
from pasco_core.systems.pasco.panoptic import PanopticThresholds, panoptic_inference
from pasco_core.systems.pasco.transforms import GridWarp, fixed_transforms
from pasco_core.systems.pasco.uncertainty import agreement, entropy_confidence, max_probability

GRID = VoxelGrid((0.0, -1.6, -0.8), 0.2, (16, 16, 8))
THRESHOLD = 0.085
WARPS = [GridWarp.of(matrix, GRID) for matrix in fixed_transforms(3)]


def subnet(i: int, channels: int, share: float = 0.3) -> SparseTensor:
    """Voxels at random places of subnet i's box and beyond it."""
    rng = np.random.default_rng(i)
    low, high = WARPS[i].box_min - 4, WARPS[i].box_max + 4
    cells = np.stack(np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high)], indexing="ij"), -1).reshape(-1, 3)
    cells = cells[rng.random(len(cells)) < share]
    coords = torch.from_numpy(np.pad(cells, ((0, 0), (1, 0))).astype(np.int32))
    return SparseTensor(coords, torch.from_numpy(rng.standard_normal((len(cells), channels)).astype(np.float32)) * 3)


def looked_up(x: SparseTensor, values: torch.Tensor, warp: GridWarp) -> np.ndarray:
    """(16, 16, 8, C): voxel by voxel the value at its warped place, zero where there is none."""
    place = {tuple(c): row for c, row in zip(x.coords[:, 1:].tolist(), values.numpy())}
    out = np.zeros((*GRID.shape, values.shape[1]), np.float32)
    voxels = np.stack(np.meshgrid(*map(np.arange, GRID.shape), indexing="ij"), -1).reshape(-1, 3)
    for voxel, seen in zip(voxels, warp_voxels(voxels, warp.transform, GRID).tolist()):
        if tuple(seen) in place:
            out[tuple(voxel)] = place[tuple(seen)]
    return out


def test_averaged_semantics_equal_the_dense_average():
    logits = [subnet(i, 4) for i in range(3)]
    dense = [looked_up(x, torch.softmax(x.feats, 1), warp) for x, warp in zip(logits, WARPS)]
    for grid in dense:
        grid[grid.sum(-1) == 0] = [1, 0, 0, 0]
    scenes = ensemble_semantics(logits, WARPS)
    for scene, expected in zip(scenes, [*dense, sum(dense) / 3], strict=True):
        full = np.tile(np.float32([1, 0, 0, 0]), (GRID.n_voxels, 1))
        full[scene.voxels.numpy()] = scene.probabilities.numpy()
        np.testing.assert_allclose(full.reshape(*GRID.shape, 4), expected, atol=1e-6)
        assert (np.diff(scene.voxels.numpy()) > 0).all()


def test_matched_masks_equal_the_dense_matching():
    logits, generator = [subnet(i, 6) for i in range(3)], torch.Generator().manual_seed(0)
    queries = [torch.randn(6, 5, generator=generator) for _ in range(3)]
    scenes = [subnet_mask_scene(x, q, warp) for x, q, warp in zip(logits, queries, WARPS)]
    result = ensemble_masks(scenes, iou_threshold=THRESHOLD)

    masks = [looked_up(x, torch.sigmoid(x.feats), warp).reshape(-1, 6).T for x, warp in zip(logits, WARPS)]
    classes = [torch.softmax(q, 1).numpy() for q in queries]
    anchor, anchor_classes, matched = masks[0], classes[0], np.zeros(6)
    for i in (1, 2):
        inter = anchor @ masks[i].T
        iou = inter / (anchor.sum(1)[:, None] + masks[i].sum(1)[None] - inter)
        iou[iou <= THRESHOLD] = 0
        rows, columns = linear_sum_assignment(1 - iou)
        anchor = (anchor * i + masks[i][columns]) / (i + 1)
        anchor_classes = (anchor_classes * i + classes[i][columns]) / (i + 1)
        matched += iou[rows, columns]
    keep = matched / 2 > THRESHOLD
    assert 0 < keep.sum() < 6
    full = np.zeros((GRID.n_voxels, keep.sum()), np.float32)
    full[result.voxels.numpy()] = result.mask_probabilities.numpy()
    np.testing.assert_allclose(full, anchor[keep].T, atol=1e-5)
    np.testing.assert_allclose(result.query_probabilities.numpy(), anchor_classes[keep], atol=1e-6)


def test_one_subnet_is_its_own_ensemble():
    scene = subnet_mask_scene(subnet(0, 6), torch.randn(6, 5), WARPS[0])
    assert ensemble_masks([scene]) is scene


def test_soft_iou_of_hard_masks_is_the_usual_one():
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    b = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(soft_iou(a, b), torch.tensor([[1 / 3, 0.0], [0.0, 0.0]]))


def masks(*columns: list[float]) -> torch.Tensor:
    return torch.tensor(columns).T.contiguous()


def classes(*confident: tuple[int, float], n: int = 4) -> torch.Tensor:
    """One row per query: ``confidence`` on the class and the rest on "no object"."""
    rows = torch.zeros(len(confident), n + 1)
    for row, (category, confidence) in zip(rows, confident):
        row[n] += 1 - confidence
        row[category] += confidence
    return rows


def infer(mask_probabilities: torch.Tensor, query_probabilities: torch.Tensor, **thresholds: float):
    scene = MaskScene(torch.arange(len(mask_probabilities)), mask_probabilities, query_probabilities)
    return panoptic_inference(scene, {1, 2}, PanopticThresholds(**thresholds))


def test_each_voxel_goes_to_the_strongest_confident_query():
    scene = infer(masks([0.9, 0.9, 0.2, 0.0], [0.1, 0.6, 0.9, 0.8]), classes((1, 0.9), (2, 0.8)))
    assert scene.ids.tolist() == [1, 1, 2, 2]
    assert scene.semantics.tolist() == [1, 1, 2, 2]
    assert [s.n_voxels for s in scene.segments] == [2, 2]
    torch.testing.assert_close(scene.mask_confidence[1], torch.tensor(0.9 / 1.5))
    torch.testing.assert_close(scene.instance_confidence[3], torch.tensor(0.8))


def test_unsure_empty_and_no_object_queries_make_no_segment():
    scene = infer(masks([1.0], [1.0], [1.0]), classes((1, 0.7), (0, 0.99), (4, 0.99)))
    assert scene.segments == [] and scene.ids.tolist() == [0]


def test_a_query_that_loses_most_of_its_voxels_is_dropped():
    strong, weak = [0.9] * 4 + [0.0], [0.5] * 5
    scene = infer(masks(strong, weak), classes((1, 0.9), (2, 0.9)))
    assert [s.query_id for s in scene.segments] == [0]
    assert scene.ids.tolist() == [1, 1, 1, 1, 0]


def test_a_second_query_of_a_stuff_class_joins_the_first_segment_without_a_class_of_its_own():
    scene = infer(masks([0.9, 0.0], [0.0, 0.9]), classes((3, 0.9), (3, 0.8)))
    assert scene.ids.tolist() == [1, 1] and scene.semantics.tolist() == [3, 0]
    assert scene.instance_confidence[1] == 0 and [s.n_voxels for s in scene.segments] == [2]


def test_two_queries_of_a_thing_class_are_two_instances():
    scene = infer(masks([0.9, 0.0], [0.0, 0.9]), classes((1, 0.9), (1, 0.8)))
    assert scene.ids.tolist() == [1, 2] and all(s.is_thing for s in scene.segments)


def test_no_voxels_or_no_queries_make_an_empty_scene():
    assert infer(torch.zeros(0, 2), classes((1, 0.9), (2, 0.9))).segments == []
    assert infer(torch.zeros(3, 0), torch.zeros(0, 5)).ids.tolist() == [0, 0, 0]


def test_confidences_of_certain_and_uniform_voxels():
    p = torch.tensor([[1.0, 0, 0, 0], [0.25] * 4, [0.5, 0.5, 0, 0]])
    torch.testing.assert_close(max_probability(p), torch.tensor([1.0, 0.25, 0.5]))
    torch.testing.assert_close(entropy_confidence(p), torch.tensor([1.0, 0.0, 0.5]))


def test_agreement_is_highest_where_the_subnets_say_the_same():
    a, b = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]]), torch.tensor([[0.9, 0.1], [0.1, 0.9], [0.4, 0.6]])
    confidence = agreement([a, b])
    assert confidence[0] == 1 and confidence[1] == 0 and 0 < confidence[2] < 1
    assert agreement([a, a]).tolist() == [1.0, 1.0, 1.0]
