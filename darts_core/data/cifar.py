"""CIFAR-10 through torchvision: 50,000 and 10,000 colour images of 32x32 pixels (Krizhevsky, 2009)."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from darts_core.data.images import ImageData
from darts_core.errors import DataError

# The published figures, as the DARTS authors use them.
MEAN = (0.49139968, 0.48215827, 0.44653124)
STD = (0.24703233, 0.24348505, 0.26158768)


def read(data_root: Path) -> ImageData:
    """CIFAR-10 from data_root, downloaded into it first when it is not there.

    Raises DataError when it can be neither found nor downloaded. torchvision checks every file's published checksum.
    """
    train, test = _open(data_root)
    return ImageData(
        train_images=_images(train),
        train_labels=torch.tensor(train.targets, dtype=torch.int64),
        test_images=_images(test),
        test_labels=torch.tensor(test.targets, dtype=torch.int64),
        classes=tuple(train.classes),
        mean=MEAN,
        std=STD,
    )


def _open(data_root: Path) -> tuple[Any, Any]:
    try:
        from torchvision.datasets import CIFAR10
    except ImportError as error:
        raise DataError(f"cifar10 needs torchvision: pip install torchvision ({error})") from error

    def both(*, download: bool) -> tuple[Any, Any]:
        return CIFAR10(data_root, train=True, download=download), CIFAR10(data_root, train=False)

    try:
        return both(download=False)
    except RuntimeError:
        pass  # not there, or damaged: fetch it
    try:
        data_root.mkdir(parents=True, exist_ok=True)
        # Two workers on one machine must not unpack over each other.
        with (data_root / ".cifar10.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return both(download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"cifar10 is not under {data_root} and could not be downloaded ({error}); on a machine without a network "
            f"put {CIFAR10.filename} (from {CIFAR10.url}) or its folder {CIFAR10.base_folder} there"
        ) from error


def _images(split: Any) -> Tensor:
    return torch.from_numpy(split.data).permute(0, 3, 1, 2).contiguous()
