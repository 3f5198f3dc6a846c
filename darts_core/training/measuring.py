"""Loss and accuracy of a network on images it does not learn from, and running sums of both while it learns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from darts_core.control import Control
from darts_core.data.feeding import Normaliser
from darts_core.errors import Stopped

MEASURING_BATCH = 256


@dataclass(frozen=True)
class Measured:
    """loss: mean cross-entropy in nats. accuracy: top-1 in percent. images: how many were seen."""

    loss: float
    accuracy: float
    images: int


class Tally:
    """Running sums on the device: adding a batch does not wait for the GPU."""

    def __init__(self, device: torch.device) -> None:
        # float64, that adding many batches loses nothing; a count of images in it is exact.
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)
        self._images = 0

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """loss: mean over the batch. logits: (N, classes). labels: (N,)."""
        correct = (logits.argmax(dim=1) == labels).sum()
        self._sums += torch.stack([loss.detach().double() * len(labels), correct.double()])
        self._images += len(labels)

    def result(self) -> Measured:
        """The means so far; waits for the device. At least one batch must have been added."""
        loss, correct = self._sums.tolist()
        return Measured(loss / self._images, 100 * correct / self._images, self._images)


@torch.no_grad()
def measure(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    normalise: Normaliser,
    *,
    control: Control,
    batch_size: int = MEASURING_BATCH,
) -> Measured:
    """Run the network in evaluation mode over images (N, C, H, W), uint8, without augmentation.

    Puts the network's mode back. Raises Stopped between two batches when the control asks for it.
    """
    training = network.training
    network.eval()
    tally = Tally(images.device)
    try:
        for first in range(0, len(images), batch_size):
            if control.should_stop():
                raise Stopped("stopped while measuring")
            batch, truth = images[first : first + batch_size], labels[first : first + batch_size]
            logits = network(normalise(batch))
            tally.add(F.cross_entropy(logits, truth), logits, truth)
    finally:
        network.train(training)
    return tally.result()
