"""Batches of training images, as a pure function of the step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from darts_core.configs.common import SMALLEST_SHARE
from darts_core.data.augmentation import Augmentation, Draws, cropped, cut_out, draw
from darts_core.data.order import permutation
from darts_core.distributed.group import ALONE, Group
from darts_core.errors import DataError


class Batch(NamedTuple):
    """Normalised images (N, C, H, W), float32, and labels (N,), int64."""

    images: Tensor
    labels: Tensor


class Normaliser:
    """Maps uint8 images to float32 of mean 0 and deviation 1 over the training set, channel by channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], device: torch.device) -> None:
        self._mean = torch.tensor(mean, dtype=torch.float32, device=device)[:, None, None]
        self._std = torch.tensor(std, dtype=torch.float32, device=device)[:, None, None]

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) to float32 of the same shape."""
        return (images.to(torch.float32) / 255 - self._mean) / self._std


class Feed:
    """Endless batches of one part of the training images, in a new order and newly augmented in each pass.

    A step number (from 0) gives its batch whatever was asked before: pass and place in it follow from the number. A
    pass ends with a smaller batch when the sizes ask for it; only a last batch of a single image is left out, for
    BatchNorm has no variance there. With several ranks each gets its share of the same batches.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        part: Tensor,
        *,
        name: str,
        batch_size: int,
        augmentation: Augmentation,
        normalise: Normaliser,
        seed: int,
        group: Group = ALONE,
    ) -> None:
        """images, labels: all training images, on the device. part: indices into them. name: of the part, for its
        random streams and for messages. batch_size: of all ranks together. Raises DataError when
        the part holds less than one batch.
        """
        if batch_size > len(part):
            raise DataError(
                f"a batch of {batch_size} is larger than the {len(part)} {name} images; give a batch_size of at most "
                f"{len(part)}, or more images"
            )
        self._images, self._labels, self._part = images, labels, part
        self._name, self._seed = name, seed
        self._batch_size = batch_size
        self._augmentation = augmentation
        self._normalise = normalise
        self._group = group
        self.steps = _batches(len(part), batch_size, group.size)
        """Batches in a pass."""
        self._open: tuple[int, Tensor, Draws] | None = None

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0 over all passes."""
        number, place = divmod(step, self.steps)
        order, draws = self._pass(number)
        indices = self._group.share(order[place * self._batch_size : (place + 1) * self._batch_size])
        drawn = draws.of(indices)
        images = self._normalise(cropped(self._images[indices], drawn, self._augmentation))
        return Batch(cut_out(images, drawn, self._augmentation), self._labels[indices])

    def _pass(self, number: int) -> tuple[Tensor, Draws]:
        if self._open is None or self._open[0] != number:
            device = self._images.device
            order = self._part[permutation(len(self._part), self._seed, self._name, number)].to(device)
            size = (self._images.shape[2], self._images.shape[3])
            draws = draw(self._augmentation, len(self._images), size, self._seed, self._name, number, device=device)
            self._open = (number, order, draws)
        return self._open[1], self._open[2]


def _batches(images: int, batch_size: int, ranks: int) -> int:
    full, rest = divmod(images, batch_size)
    return full + (rest >= SMALLEST_SHARE * ranks)
