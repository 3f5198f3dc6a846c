"""Holds an image data set, in memory or as files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from darts_core.data.files import Images
from darts_core.data.moments import moments

_CHUNK = 4096


@dataclass(frozen=True)
class ImageData:
    """uint8 images (N, channels, H, W) and int64 labels (N,) that index `classes`, on the CPU or as undecoded files.

    `mean` and `std`: per channel, of the training images scaled to 0..1. `valid_images` and `valid_labels`: the set's
    own validation part, for choosing epochs and cells; searches do not read it.
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

    def checksum(self) -> str | None:
        """SHA-256 of the types, shapes and bytes of all parts; None of images that are files."""
        digest = hashlib.sha256()
        trained_on = self.train_images, self.train_labels, self.valid_images, self.valid_labels
        for part in (*trained_on, self.test_images, self.test_labels):
            if part is None:
                continue
            if not isinstance(part, Tensor):
                return None
            digest.update(f"{part.dtype} {tuple(part.shape)}\n".encode())
            digest.update(part.contiguous().numpy().data)
        return digest.hexdigest()


def statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel of uint8 images (N, C, H, W), on the scale 0..1."""
    histograms = torch.zeros(images.shape[1], 256, dtype=torch.int64)
    # Counting takes eight bytes a pixel, hence in chunks.
    for part in torch.split(images, _CHUNK):
        for channel in range(images.shape[1]):
            histograms[channel] += torch.bincount(part[:, channel].flatten().to(torch.int64), minlength=256)
    pairs = [moments(histogram) for histogram in histograms.tolist()]
    return tuple(mean for mean, _ in pairs), tuple(std for _, std in pairs)
