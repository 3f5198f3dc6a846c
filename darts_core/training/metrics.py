"""Measures loss and accuracy of a network, and sums both up during training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core.data.batches import Normaliser
from darts_core.data.files import Images, in_parts
from darts_core.distributed.group import ALONE, Group
from darts_core.errors import Stopped
from darts_core.training.control import Control
from darts_core.training.stages import MEASURING, stage
from darts_core.training.step_graphs import StepGraphs, Tensors

MEASURING_BATCH = 256


@dataclass(frozen=True)
class Measured:
    """loss: mean cross-entropy in nats. accuracy: top-1 in percent. images: how many were seen."""

    loss: float
    accuracy: float
    images: int


class RunningSums(Protocol):
    """Sums over the steps of an epoch."""

    def state(self, group: Group = ALONE) -> dict[str, Any]:
        """The sums so far, for a checkpoint. Every rank must ask."""

    def restore(self, state: dict[str, Any], group: Group = ALONE) -> None:
        """Restore the sums of `state`."""


class RunningMetrics:
    """Running sums on the device: adding a batch does not wait for the GPU."""

    def __init__(self, device: torch.device) -> None:
        # float64, that adding many batches loses nothing; a count of images in it is exact.
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)
        self._images = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """loss: mean over the batch. logits: (N, classes). labels: (N,)."""
        self._sums += _sums(loss, logits, labels)
        self._images += len(labels)

    def state(self, group: Group = ALONE) -> dict[str, Any]:
        """The sums so far, for a checkpoint: a row a rank, (ranks, 2), and the images of all. Every rank must ask."""
        rows = torch.zeros(group.size, 2, dtype=torch.float64, device=self._sums.device)
        rows[group.rank] = self._sums
        return {"sums": group.sum(rows), "images": group.size * self._images}

    def restore(self, state: dict[str, Any], group: Group = ALONE) -> None:
        """Go on from sums put away with `state`; with another number of ranks, rank 0 takes them all."""
        rows = state["sums"]
        if len(rows) == group.size:
            self._sums.copy_(rows[group.rank])
        elif group.leads:
            self._sums.copy_(rows.sum(dim=0))
        self._images = state["images"] // group.size

    def result(self, group: Group = ALONE) -> Measured:
        """The means so far, over all ranks; waits for the device. At least one batch must have been added to each,
        as many images to one as to another.
        """
        loss, correct = group.sum(self._sums).tolist()
        images = group.size * self._images
        return Measured(loss / images, 100 * correct / images, images)


def _logits(network: nn.Module, inputs: Sequence[Tensor]) -> Tensors:
    [images] = inputs
    return (network(images),)


def graphed_batches(network: nn.Module, pool: Any, **options: Any) -> StepGraphs:
    """The network's logits as CUDA graphs, for `measure`. pool: of `memory_pool`. options: of `StepGraphs`."""
    return StepGraphs("the measuring", partial(_logits, network), pool, **options)


@stage(MEASURING)
@torch.no_grad()
def measure(
    network: nn.Module,
    images: Images,
    labels: Tensor,
    normalise: Normaliser,
    *,
    control: Control,
    batch_size: int = MEASURING_BATCH,
    group: Group = ALONE,
    graphs: StepGraphs | None = None,
) -> Measured:
    """Run the network in evaluation mode over images (N, C, H, W), uint8, without augmentation.

    Puts the network's mode back. Raises Stopped between two batches when the control asks for it. Several ranks take
    turns at the batches; the sums are added up in the order of the batches, so the result is that of one rank alone.
    graphs: of `graphed_batches`, to the same bits.
    """
    run = partial(_logits, network) if graphs is None else graphs.run
    training = network.training
    network.eval()
    count = math.ceil(len(images) / batch_size)
    sums = torch.zeros(count, 2, dtype=torch.float64, device=images.device)
    try:
        parts = [slice(number * batch_size, (number + 1) * batch_size) for number in range(count)]
        own = in_parts(images, parts[group.rank :: group.size])
        for number, part in enumerate(parts):
            if control.should_stop():  # which the ranks agree upon: each asks as often as the others
                raise Stopped("stopped while measuring")
            if number % group.size != group.rank:
                continue
            truth = labels[part]
            (logits,) = run([normalise(next(own))])
            sums[number] = _sums(F.cross_entropy(logits, truth), logits, truth)
    finally:
        network.train(training)
    batches = group.sum(sums).tolist()
    loss, correct = sum(batch[0] for batch in batches), sum(batch[1] for batch in batches)
    return Measured(loss / len(images), 100 * correct / len(images), len(images))


def _sums(loss: Tensor, logits: Tensor, labels: Tensor) -> Tensor:
    """Of a batch with this mean loss, float64, (2,): the sum of the losses, the number of right answers."""
    correct = (logits.argmax(dim=1) == labels).sum()
    return torch.stack([loss.detach().double() * len(labels), correct.double()])
