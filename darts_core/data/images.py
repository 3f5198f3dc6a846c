"""A data set of images, in memory or in files."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from darts_core.data.files import Images
from darts_core.data.moments import moments

_CHUNK = 4096


@dataclass(frozen=True)
class ImageData:
    """Images are uint8 (N, channels, H, W), labels int64 (N,) that index `classes`; all on the CPU, or still in files.

    `mean` and `std`: one number a channel, of the training images scaled to 0..1. `valid_images` and `valid_labels`:
    of a set that brings validation images of its own, to choose epochs and cells by; searches leave them alone.
    """

    train_images: Images
    train_labels: Tensor
    test_images: Images
    test_labels: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    valid_images: Images | None = None
    valid_labels: Tensor | None = None

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.train_images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.train_images.shape[2], self.train_images.shape[3]


def statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 images (N, C, H, W), on the scale 0..1."""
    histograms = torch.zeros(images.shape[1], 256, dtype=torch.int64)
    # Counting takes eight bytes a pixel: not for all images at once.
    for part in torch.split(images, _CHUNK):
        for channel in range(images.shape[1]):
            histograms[channel] += torch.bincount(part[:, channel].flatten().to(torch.int64), minlength=256)
    pairs = [moments(histogram) for histogram in histograms.tolist()]
    return tuple(mean for mean, _ in pairs), tuple(std for _, std in pairs)
