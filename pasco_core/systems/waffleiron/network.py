"""WaffleIron as one module: points in, class probabilities and embeddings out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from pasco_core.data.point_cloud import checked_points
from pasco_core.errors import ConfigError, PascoError
from pasco_core.systems.waffleiron.config import WaffleIronConfig
from pasco_core.systems.waffleiron.embedding import Embedding
from pasco_core.systems.waffleiron.inference import embed_inference, mix_inference_
from pasco_core.systems.waffleiron.layers import Pointwise
from pasco_core.systems.waffleiron.mixing import Backbone
from pasco_core.systems.waffleiron.planes import PlaneIndex
from pasco_core.systems.waffleiron.preprocess import PreparedCloud, prepare
from pasco_core.systems.waffleiron.votes import draw_augmentation


@dataclass(frozen=True)
class NetworkInput:
    """Prepared clouds as tensors; the points of a batch lie one cloud after the other.

    Args:
        features: (M, 5) intensity, x, y, z, radius.
        neighbours: (M, K) int64, rows of ``features``.
        planes: one index per plane.
    """

    features: Tensor
    neighbours: Tensor
    planes: list[PlaneIndex]


@dataclass(frozen=True)
class NetworkOutput:
    """What the network says of the M kept points.

    Args:
        logits: (M, classes).
        embedding: (M, channels), the tokens before the first block: the features PaSCo reads.
        tokens: (M, channels), the tokens after the last block.
    """

    logits: Tensor
    embedding: Tensor
    tokens: Tensor


class WaffleIron(nn.Module):
    """The WaffleIron backbone with its classifier (Puy et al., ICCV 2023).

    ``forward`` is the plain, differentiable network, in training or evaluation mode; ``infer`` computes the same as
    its evaluation mode, faster and without gradients; ``point_features`` is the whole way from a scan.
    """

    def __init__(self, config: WaffleIronConfig):
        super().__init__()
        self.config = config
        self.embed = Embedding(config.channels)
        self.waffleiron = Backbone(config.channels, config.depth)
        self.classif = Pointwise(config.channels, config.n_classes)

    def forward(self, inputs: NetworkInput) -> NetworkOutput:
        """Logits and tokens of every kept point, differentiable."""
        embedding = self.embed(inputs.features, inputs.neighbours)
        tokens = self.waffleiron(embedding, inputs.planes)
        return NetworkOutput(self.classif(tokens), embedding, tokens)

    @torch.no_grad()
    def infer(self, inputs: NetworkInput) -> NetworkOutput:
        """What ``forward`` gives in evaluation mode, up to rounding; running statistics whatever the module's mode."""
        embedding = embed_inference(self.embed, inputs.features, inputs.neighbours)
        tokens = mix_inference_(self.waffleiron, embedding.clone(), inputs.planes)
        return NetworkOutput(self.classif(tokens), embedding, tokens)

    def network_input(self, *clouds: PreparedCloud) -> NetworkInput:
        """Prepared clouds as one batch in the module's precision on its device."""
        like = self.classif.weight
        starts = np.cumsum([0] + [len(cloud.kept) for cloud in clouds[:-1]])
        features = torch.from_numpy(np.concatenate([cloud.features for cloud in clouds])).to(like)
        neighbours = np.concatenate([cloud.neighbours + start for cloud, start in zip(clouds, starts)])
        planes = []
        for plane, (grid, size) in enumerate(zip(self.config.grids, self.config.cell_counts)):
            cells = np.concatenate([cloud.cells[plane] + b * size for b, cloud in enumerate(clouds)])
            planes.append(PlaneIndex.build(torch.from_numpy(cells).to(like.device), grid, len(clouds), like.dtype))
        return NetworkInput(features, torch.from_numpy(neighbours).to(like.device), planes)

    def point_features(
        self, points: np.ndarray, votes: int = 0, generator: np.random.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Class probabilities and embedding of every point of a scan, those outside the field of view included.

        A point that down-sampling or the crop removed takes the values of the nearest kept point.

        Args:
            points: (N, 4) x y z in metres in the LiDAR frame (REP-103), intensity on KITTI's scale 0 to 1; finite.
            votes: number of augmented passes (the published PaSCo features use 10), each with its own rotation, mirror
                and scale of the coordinates; the feature columns stay as measured. 0: one pass, no augmentation.
            generator: source of the augmentations, needed when ``votes`` is not 0. Equal generators, equal results.

        Returns:
            Probabilities (N, classes), the mean over the votes, and the embedding (N, channels) of one vote chosen at
            random, on the module's device, without gradients. No points give empty tensors.

        Raises:
            CloudError: points of another shape or not finite (codes LAYOUT, NOT_FINITE), or none of them inside the
                field of view in some vote (OUT_OF_VIEW).
            ConfigError: ``votes`` is negative or has no generator.
            PascoError: the network's result is not finite.
        """
        _check_votes(votes, generator)
        points = checked_points(points)
        if len(points) == 0:
            like = self.classif.weight.detach()
            return like.new_empty(0, self.config.n_classes), like.new_empty(0, self.config.channels)
        if generator is None or votes == 0:
            return self._one_pass(points, points[:, :3])
        return self._mean_of_votes(points, votes, generator)

    def _mean_of_votes(self, points: np.ndarray, votes: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        chosen = int(generator.integers(votes))
        total = embedding = self.classif.weight.detach().new_zeros(())
        for vote in range(votes):
            coordinates = draw_augmentation(generator).apply(points[:, :3])
            probabilities, vote_embedding = self._one_pass(points, coordinates)
            total = total + probabilities
            if vote == chosen:
                embedding = vote_embedding
        return total / votes, embedding

    def _one_pass(self, points: np.ndarray, coordinates: np.ndarray) -> tuple[Tensor, Tensor]:
        cloud = prepare(points, self.config, coordinates)
        output = self.infer(self.network_input(cloud))
        probabilities = torch.softmax(output.logits, dim=1)
        finite = torch.isfinite(probabilities).all(dim=1)
        if not bool(finite.all()):
            raise PascoError(
                "Expected WaffleIron's class probabilities to be finite, got "
                f"{int((~finite).sum())} of {len(finite)} kept points where they are not"
            )
        nearest = torch.from_numpy(cloud.nearest).to(probabilities.device)
        return probabilities[nearest], output.embedding[nearest]


def _check_votes(votes: int, generator: np.random.Generator | None) -> None:
    if not isinstance(votes, (int, np.integer)) or isinstance(votes, bool) or votes < 0:
        raise ConfigError(f"Expected votes to be an integer of at least 0, got {votes!r}")
    if votes and not isinstance(generator, np.random.Generator):
        raise ConfigError(f"Expected the generator of {votes} votes to be a numpy.random.Generator, got {generator!r}")
