"""PaSCo: points of n subnets in; per-voxel classes at three scales, queries and masks out (paper, figure 2)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from torch import Tensor, nn

from pasco_core.errors import DataError
from pasco_core.sparse import SparseTensor
from pasco_core.systems.pasco.bottleneck import Bottleneck
from pasco_core.systems.pasco.config import BOX_STEP, PaSCoConfig
from pasco_core.systems.pasco.decoder import DecodedScale, Decoder
from pasco_core.systems.pasco.encoder import Encoder
from pasco_core.systems.pasco.mask_transformer import MaskPrediction, MaskTransformer, SubnetTokens
from pasco_core.systems.pasco.point_encoder import PointEncoder, check_subnet_points
from pasco_core.systems.pasco.voxel_selection import VoxelSelection, occupied_by_any


@dataclass(frozen=True)
class PaSCoOutput:
    """What the network says of one scan, in each subnet's own warped grid.

    Args:
        semantic_logits: stride (4, 2, 1) → per subnet (N, classes) on the voxels that any subnet calls occupied.
        query_logits: per subnet (queries, classes + 1).
        mask_logits: per subnet (N_i, queries) on the voxels that this subnet calls occupied.
        auxiliary: per subnet the predictions before the last layer, earliest first.
        candidate_logits: as ``semantic_logits``, before any voxel was left out; in training mode only.
    """

    semantic_logits: dict[int, list[SparseTensor]]
    query_logits: list[Tensor]
    mask_logits: list[SparseTensor]
    auxiliary: list[list[MaskPrediction]]
    candidate_logits: dict[int, list[SparseTensor]] = field(default_factory=dict)


class _SparseUNet(nn.Module):
    def __init__(self, config: PaSCoConfig, backend: str):
        super().__init__()
        self.encoder = Encoder(config, backend)
        self.dense3d = nn.Sequential(Bottleneck(config.widths[-1]))
        self.decoder_generative = Decoder(config, backend)


class PaSCo(nn.Module):
    """The network; attribute names are the authors' key names.

    Args:
        config: the variant.
        backend: who computes the sparse operations, see ``pasco_core.sparse.backends``.
        pad_leak: whether the mask transformer of n > 1 subnets lets queries read the original's padding rows. The
            published weights need it (True); for newly trained networks it is a fault (False).
    """

    def __init__(self, config: PaSCoConfig, backend: str = "torch", pad_leak: bool = True):
        super().__init__()
        self.config = config
        self.pad_leak = pad_leak
        self.feat = PointEncoder(config)
        self.unet3d = _SparseUNet(config, backend)
        self.transformer_predictor = MaskTransformer(config)

    def forward(
        self,
        point_features: list[Tensor],
        voxel_coords: list[Tensor],
        box_min: Tensor,
        box_max: Tensor,
        timer: Callable[[str], AbstractContextManager[object]] = nullcontext,
        select: VoxelSelection = occupied_by_any,
        n_subnets: int | None = None,
        instances: bool = True,
    ) -> PaSCoOutput:
        """One scan.

        Args:
            point_features: n tensors (P_i, C_in) float32.
            voxel_coords: n int tensors (P_i, 3), voxel of each point in subnet i's warped grid.
            box_min, box_max: (n, 3) int, inclusive bounds of each subnet's grid, box_min a multiple of 8.
            timer: called with a stage's name, gives a context around it.
            select: which candidate voxels of the decoder go on; training sets limits.
            n_subnets: how many subnets, the first ones, complete the scene; the inputs of all are read. None: all.
            instances: False: no masks; ``query_logits`` and ``mask_logits`` stay empty.

        Raises:
            DataError: an input of the wrong shape, or a box that is empty or off the multiples of 8.
            InferenceError: logits that are not finite.
        """
        check_subnet_points(point_features, voxel_coords, self.config)
        lower, upper = global_box(box_min, box_max, self.config.n_subnets)
        with timer("point encoder"):
            merged = self.feat(point_features, voxel_coords)
        with timer("encoder"):
            skips = self.unet3d.encoder(merged)
        with timer("bottleneck"):
            dense = self.unet3d.dense3d[0](skips[8], lower, upper)
        if n_subnets is not None:
            box_min, box_max = box_min[:n_subnets], box_max[:n_subnets]
            lower, upper = global_box(box_min, box_max, n_subnets)
        with timer("decoder"):
            scales = self.unet3d.decoder_generative(dense, skips, lower, upper, select, n_subnets)
        predictions: list[list[MaskPrediction]] = []
        if instances:
            with timer("mask transformer"):
                predictions = self._predict_masks(scales, box_min, box_max)
        return PaSCoOutput(
            {stride: scale.semantic_logits for stride, scale in scales.items()},
            [subnet[-1].query_logits for subnet in predictions],
            [subnet[-1].mask_logits for subnet in predictions],
            [subnet[:-1] for subnet in predictions],
            {stride: scale.candidate_logits for stride, scale in scales.items()} if self.training else {},
        )

    def _predict_masks(
        self, scales: dict[int, DecodedScale], box_min: Tensor, box_max: Tensor
    ) -> list[list[MaskPrediction]]:
        decoder, subnets = self.unet3d.decoder_generative, range(len(box_min))
        levels = [decoder.tokens(scales, i, box_min[i], box_max[i]) for i in subnets]
        longest = [max(levels[i][level].n_voxels for i in subnets) for level in range(3)]
        predictions = []
        for i in subnets:
            a, b, c = (longest[k] - levels[i][k].n_voxels if self.pad_leak else 0 for k in range(3))
            inside = bool(((box_min[i] <= 0) & (box_max[i] >= 0)).all())
            predictions.append(self.transformer_predictor(SubnetTokens(levels[i], (a, b, c), inside), i))
        return predictions


def global_box(box_min: Tensor, box_max: Tensor, n_subnets: int) -> tuple[Tensor, Tensor]:
    """The inclusive box (3,), (3,) around all subnets' boxes, its size a multiple of 8 voxels.

    Raises:
        DataError: wrong shape, an empty box, or a lower bound off the multiples of 8.
    """
    for name, bound in (("box_min", box_min), ("box_max", box_max)):
        if bound.shape != (n_subnets, 3) or bound.dtype.is_floating_point:
            raise DataError(f"Expected {name} to be integers ({n_subnets}, 3), got {bound.dtype} {tuple(bound.shape)}")
    if bool((box_min % BOX_STEP != 0).any()) or bool((box_max < box_min).any()):
        raise DataError(
            f"Expected box_min to be multiples of {BOX_STEP} and at most box_max, "
            f"got {box_min.tolist()} and {box_max.tolist()}"
        )
    lower = box_min.amin(0)
    size = (box_max.amax(0) - lower + BOX_STEP) // BOX_STEP * BOX_STEP
    return lower, lower + size - 1
