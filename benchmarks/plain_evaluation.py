"""A plain retraining loop: the baseline of the fast step, in speed and in numbers.

Images are augmented one by one, maps are contiguous, every operation is torch's own, weights are updated one by one,
and loss and accuracy are read after every step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.configs import EvaluationConfig
from darts_core.data.augmentation import Augmentation, draw
from darts_core.data.batches import Batch
from darts_core.data.images import ImageData
from darts_core.data.order import permutation
from darts_core.models.dilated import DilatedDepthwise
from darts_core.models.evaluation_network import EvaluationNetwork


def plain_optimizer(network: EvaluationNetwork, config: EvaluationConfig) -> torch.optim.SGD:
    """SGD, weight by weight."""
    return torch.optim.SGD(
        network.parameters(),
        lr=config.weight_lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        foreach=False,
        fused=False,
    )


def plain_batch(source: ImageData, part: Tensor, name: str, config: EvaluationConfig, step: int, steps: int) -> Batch:
    """The batch of a step (from 0), image by image: crop, flip, normalise, cut out. steps: batches in a pass."""
    images = source.train_images
    assert isinstance(images, Tensor)
    size, height, width = config.batch_size, *source.size
    number, place = divmod(step, steps)
    indices = part[permutation(len(part), config.seed, name, number)][place * size : (place + 1) * size]
    settings = Augmentation(config.crop_padding, config.flip, config.cutout)
    draws = draw(settings, len(images), source.size, config.seed, name, number, device=images.device)
    mean, std = (torch.tensor(values)[:, None, None] for values in (source.mean, source.std))
    batch = []
    for i in indices.tolist():
        image = F.pad(images[i], [config.crop_padding] * 4)
        top, left = int(draws.top[i]), int(draws.left[i])
        image = image[:, top : top + height, left : left + width]
        if config.flip and draws.flip[i]:
            image = image.flip(-1)
        image = (image.float() / 255 - mean) / std
        if config.cutout:
            top, left = int(draws.centre_y[i]) - config.cutout // 2, int(draws.centre_x[i]) - config.cutout // 2
            image[:, max(top, 0) : max(top + config.cutout, 0), max(left, 0) : max(left + config.cutout, 0)] = 0
        batch.append(image)
    return Batch(torch.stack(batch), source.train_labels[indices])


def plain_step(
    network: EvaluationNetwork, optimizer: torch.optim.SGD, batch: Batch, config: EvaluationConfig
) -> tuple[float, int]:
    """Update the weights once; returns the mean loss in nats and the number of correct predictions."""
    with dilated_phases(False):
        logits, auxiliary = network.with_auxiliary(batch.images)
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=config.label_smoothing)
        if auxiliary is not None:
            aside = F.cross_entropy(auxiliary, batch.labels, label_smoothing=config.label_smoothing)
            loss = loss + config.auxiliary_weight * aside
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), config.grad_clip, foreach=False)
    optimizer.step()
    return loss.item(), int((logits.argmax(1) == batch.labels).sum().item())


@contextlib.contextmanager
def dilated_phases(wanted: bool) -> Iterator[None]:
    before, DilatedDepthwise.phased = DilatedDepthwise.phased, wanted
    try:
        yield
    finally:
        DilatedDepthwise.phased = before
