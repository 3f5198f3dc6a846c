"""Reads scikit-learn's handwritten digits: 1,797 scans of 8x8 pixels, shipped with the library (UCI, 1998)."""

from __future__ import annotations

import torch

from darts_core.data.catalogue import BUILT_IN
from darts_core.data.held_out import held_out_indices
from darts_core.data.images import ImageData, statistics
from darts_core.errors import DataError


def read() -> ImageData:
    """Load the digits, their 17 grey levels scaled to 0..255, with the catalogue's fixed test fifth."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError(f"digits needs scikit-learn: pip install scikit-learn ({error})") from error

    bunch = load_digits()
    images = (torch.from_numpy(bunch.images) * (255 / 16)).round().to(torch.uint8)[:, None]
    labels = torch.from_numpy(bunch.target).to(torch.int64)
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    held_out[held_out_indices(labels.tolist(), [f"digit-{i}" for i in range(len(labels))], BUILT_IN["digits"].test)] = (
        True
    )
    mean, std = statistics(images[~held_out])
    return ImageData(
        train_images=images[~held_out],
        train_labels=labels[~held_out],
        test_images=images[held_out],
        test_labels=labels[held_out],
        classes=tuple(map(str, range(10))),
        mean=mean,
        std=std,
    )
