"""Serves training batches as a pure function of the step number."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from darts_core.configs.common import SMALLEST_SHARE
from darts_core.data.augmentation import Augmentation, Draws, cropped, cut_out, draw
from darts_core.data.colour import apply_jitter, draw_jitter, jitter_rows
from darts_core.data.files import FileImages, Images, pixels
from darts_core.data.host_copies import to_device
from darts_core.data.order import permutation, seed_of
from darts_core.data.resized_crops import apply_crops, crop_rows
from darts_core.distributed.group import ALONE, Group
from darts_core.errors import DataError

# Batches decoded ahead of the current one, when images are files.
_AHEAD: Final = 2


class Batch(NamedTuple):
    """Normalised images (N, C, H, W) and int64 labels (N,)."""

    images: Tensor
    labels: Tensor

    def parts(self, count: int) -> list[tuple[Batch, float]]:
        """Split into `count` consecutive parts, each with its fraction of the batch; the fractions sum to 1.

        Returns fewer parts for a short last batch that would leave BatchNorm too few images in one of them.
        """
        size = len(self.labels)
        count = max(1, min(count, size // SMALLEST_SHARE))
        pairs = zip(self.images.tensor_split(count), self.labels.tensor_split(count), strict=True)
        return [(Batch(images, labels), len(labels) / size) for images, labels in pairs]


class Normaliser:
    """Maps uint8 images to zero mean and unit deviation per channel, by the training set's statistics."""

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self._mean = torch.tensor(mean, dtype=dtype, device=device)[:, None, None]
        self._std = torch.tensor(std, dtype=dtype, device=device)[:, None, None]

    def __call__(self, images: Images) -> Tensor:
        """uint8 (N, C, H, W) to `dtype`, same shape."""
        return (pixels(images).to(self._mean.dtype) / 255 - self._mean) / self._std


class Feed:
    """Endless batches of one part of the training images, reshuffled and newly augmented in each pass.

    The step number (from 0) determines the batch: its pass and its position follow from the number. A pass may end with
    a smaller batch; a last batch of a single image is dropped, since BatchNorm has no variance there. With several
    ranks each gets its share of the same batches.
    """

    def __init__(
        self,
        images: Images,
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
        """images, labels: all training images, on the device. part: indices into them. name: of the part, used for
        random streams and messages. batch_size: over all ranks. Raises DataError when the part is smaller than one
        batch.
        """
        if batch_size > len(part):
            fewer = f"give a batch_size of at most {len(part)}, or " if len(part) >= SMALLEST_SHARE else ""
            raise DataError(
                f"a batch of {batch_size} is larger than the {len(part)} {name} images; {fewer}use more images"
            )
        self._images, self._labels, self._part = images, labels, part
        self._name, self._seed = name, seed
        self._batch_size = batch_size
        self._augmentation = augmentation
        self._normalise = normalise
        self._group = group
        self.steps = _batches(len(part), batch_size, group.size)
        """Batches in a pass."""
        self.cutout_probability = 1.0
        """That an image is cut, if the augmentation has cutout."""
        self._open: tuple[int, Tensor, Tensor, Draws] | None = None
        self._ahead: dict[int, FileImages] = {}

    def batch(self, step: int) -> Batch:
        """Return the batch of a step, counted from 0 over all passes."""
        _, indices = self._indices(step)
        drawn = self._pass(step // self.steps)[2].of(indices)
        images = self._normalise(cropped(self._augmented(step), drawn, self._augmentation))
        cut = cut_out(images, drawn, self._augmentation, self.cutout_probability)
        return Batch(cut, self._labels[indices])

    def _augmented(self, step: int) -> Tensor:
        """The step's images, cropped and coloured at random. All that is drawn for it on the CPU is one copy."""
        images = self._fetch(step)
        crops, jitters = None, None
        if self._augmentation.resized_crop and not isinstance(self._images, FileImages):
            sources = [random.Random(seed) for seed in self._seeds("resized-crop", step)]  # noqa: S311 - no secret
            crops = crop_rows(sources, images.shape[2], images.shape[3])
        if any(self._augmentation.colour_jitter):
            sources = [random.Random(seed) for seed in self._seeds("colour", step)]  # noqa: S311 - no secret
            jitters = [draw_jitter(source, self._augmentation.colour_jitter) for source in sources]
        rows = [*([] if crops is None else [crops]), *([] if jitters is None else [jitter_rows(jitters)])]
        if not rows:
            return images
        drawn = to_device(torch.cat(rows), images.device)
        if crops is not None:
            images = apply_crops(images, drawn[:4])
        return images if jitters is None else apply_jitter(images, jitters, drawn[-8:])

    def _indices(self, step: int) -> tuple[Tensor, Tensor]:
        """Indices of this rank's images in a step's batch, on the CPU and on the device."""
        number, place = divmod(step, self.steps)
        batch = slice(place * self._batch_size, (place + 1) * self._batch_size)
        on_cpu, on_device, _ = self._pass(number)
        return self._group.share(on_cpu[batch]), self._group.share(on_device[batch])

    def _fetch(self, step: int) -> Tensor:
        """Fetch the step's images; when they are files, also start decoding those of the next steps."""
        if not isinstance(self._images, FileImages):
            return self._images[self._indices(step)[1]]
        last = (step // self.steps + 1) * self.steps
        ahead = {at: self._ahead.get(at) or self._files(at).start() for at in range(step, min(step + _AHEAD + 1, last))}
        files = ahead.pop(step)
        self._ahead = ahead
        return files.decoded()

    def _files(self, step: int) -> FileImages:
        assert isinstance(self._images, FileImages)
        files = self._images[self._indices(step)[0]]
        if not self._augmentation.resized_crop:
            return files
        return files.with_crops(self._seeds("resized-crop", step))

    def _seeds(self, purpose: str, step: int) -> list[int]:
        """A seed for each of the step's images."""
        # CPU indices: reading the device's copy would wait for the GPU.
        indices, number = self._indices(step)[0].tolist(), step // self.steps
        return [seed_of(self._seed, purpose, self._name, number, index) for index in indices]

    def _pass(self, number: int) -> tuple[Tensor, Tensor, Draws]:
        if self._open is None or self._open[0] != number:
            device = self._images.device
            order = self._part[permutation(len(self._part), self._seed, self._name, number)]
            size = (self._images.shape[2], self._images.shape[3])
            draws = draw(self._augmentation, len(self._images), size, self._seed, self._name, number, device=device)
            self._open = (number, order, to_device(order, device), draws)
        return self._open[1:]


def _batches(images: int, batch_size: int, ranks: int) -> int:
    full, rest = divmod(images, batch_size)
    return full + (rest >= SMALLEST_SHARE * ranks)
