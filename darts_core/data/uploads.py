"""Reads uploaded data sets from their packed files under the data root, found by checksum whatever their names."""

from __future__ import annotations

from pathlib import Path

import torch

from darts_core.data.catalogue import upload_path
from darts_core.data.images import ImageData
from darts_core.data.packed import read as read_packed


def read(checksum: str, data_root: Path) -> ImageData:
    """Read a set with its own validation part. Raises DataError when the file is missing or does not match the
    checksum.
    """
    packed = read_packed(upload_path(data_root, checksum), checksum)
    images = {part: torch.from_numpy(pixels) for part, pixels in packed.images.items()}
    labels = {part: torch.from_numpy(numbers) for part, numbers in packed.labels.items()}
    return ImageData(
        train_images=images["train"],
        train_labels=labels["train"],
        valid_images=images["valid"],
        valid_labels=labels["valid"],
        test_images=images["test"],
        test_labels=labels["test"],
        classes=packed.classes,
        mean=packed.mean,
        std=packed.std,
    )
