"""Trains the dense U-Net that PaSCo is compared with: same items, completion losses and schedule, no masks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pasco_core.data.datasets.dataset import Dataset
from pasco_core.data.frame import UNKNOWN
from pasco_core.sparse import CoordinateSet, SparseTensor
from pasco_core.systems.dense_unet import DEEPEST, WIDTHS, DenseUNet, voxel_features
from pasco_core.systems.pasco.losses import SubnetTarget, completion_losses
from training.batch import TrainingBatch
from training.class_weights import class_weights
from training.config import Experiment
from training.divergence import TrainingDiverged, not_finite
from training.items import TrainingItems
from training.optimiser import make_optimiser
from training.sampling import chosen_frames, epoch_sampler
from training.schedule import learning_rate_factor

log = logging.getLogger("training")


def train_dense(
    experiment: Experiment,
    dataset: Dataset,
    steps: int,
    widths: tuple[int, int, int, int] = WIDTHS,
    device: torch.device | str = "cpu",
) -> DenseUNet:
    """A dense U-Net trained by a recipe of PaSCo, in evaluation mode with the moving average's weights.

    Args:
        experiment: data, augmentation, optimiser, schedule, completion losses, moving average and seed are its.
        dataset: whose ``data.train_split`` or ``data.train_sequences`` are learnt from.
        steps: of one item each.
        widths: of the network.
        device: where to train; the network stays there.

    Raises:
        TrainingDiverged: a loss that is not finite.
    """
    experiment = replace(experiment, network=replace(experiment.network, n_subnets=1))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        network = DenseUNet(experiment.labels.n_classes, widths, experiment.targets.empty_prior).to(device).train()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(experiment.ema_decay), use_buffers=True)
    settings = experiment.optimiser
    optimiser = make_optimiser(network, settings)
    weights = {stride: values.to(device) for stride, values in class_weights(experiment).items()}
    for step, item in zip(range(steps), _items(experiment, dataset)):
        batch = item.to(device)
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * learning_rate_factor(step, steps, experiment.schedule)
        target = batch.targets[0]
        terms = completion_losses(dense_logits(network, batch, target), [target], weights, experiment.losses)
        if not_finite(terms):
            raise TrainingDiverged(f"Expected the training to stay finite, got {not_finite(terms)} at step {step}")
        loss = terms["completion_ce"] + terms["completion_lovasz"]
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), settings.gradient_clip or float("inf"))
        optimiser.step()
        average.update_parameters(network)
        if step % experiment.log.every == 0:
            log.info("step %d of %d: loss %.3f", step, steps, float(loss.detach()))
    network.load_state_dict(average.module.state_dict())
    return network.eval()


def dense_logits(network: nn.Module, batch: TrainingBatch, target: SubnetTarget) -> dict[int, list[SparseTensor]]:
    """The network's logits at the known cells of the target's box, in the form the completion losses take."""
    x, y, z = (-(-size // DEEPEST) * DEEPEST for size in target.semantics[1].shape)
    volume = voxel_features(batch.features[0], batch.voxels[0], target.origin, (x, y, z))
    return {
        stride: [_known_cells(logits[0], target.semantics[stride], target.origin, stride)]
        for stride, logits in network(volume).items()
    }


def _known_cells(logits: Tensor, semantics: Tensor, origin: Tensor, stride: int) -> SparseTensor:
    cells = (semantics != UNKNOWN).nonzero()
    x, y, z = cells.unbind(1)
    coords = F.pad(cells * stride + origin, (1, 0))
    return SparseTensor(CoordinateSet(coords, stride), logits.permute(2, 3, 1, 0)[x, y, z])


def _items(experiment: Experiment, dataset: Dataset) -> Iterator[TrainingBatch]:
    """Epoch after epoch, for ever."""
    data = experiment.data
    frames = chosen_frames(dataset, data.train_split, data.train_sequences)
    items = TrainingItems(dataset, frames, experiment)
    sampler = epoch_sampler(experiment, dataset, frames)
    epoch = 0
    while True:
        sampler.set_epoch(epoch)
        yield from (items[place] for place in sampler)
        epoch += 1
