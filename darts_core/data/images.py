"""A data set of images in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ImageData:
    """Images are uint8 (N, channels, H, W), labels int64 (N,) that index `classes`; all on the CPU.

    `mean` and `std`: one number a channel, of the training images scaled to 0..1.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.train_images.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.train_images.shape[2], self.train_images.shape[3]


def statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 images (N, C, H, W), on the scale 0..1.

    Exact integer sums, hence the same on every machine. A channel without any contrast gets the deviation 1.
    """
    count = images.numel() // images.shape[1]
    mean, std = [], []
    for channel in range(images.shape[1]):
        histogram = torch.bincount(images[:, channel].flatten().to(torch.int64), minlength=256).tolist()
        first = sum(value * n for value, n in enumerate(histogram)) / count
        second = sum(value * value * n for value, n in enumerate(histogram)) / count
        mean.append(first / 255)
        std.append(max(second - first * first, 0.0) ** 0.5 / 255 or 1.0)
    return tuple(mean), tuple(std)
