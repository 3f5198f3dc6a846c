"""Reads published image sets through torchvision, which downloads them and verifies their checksums.

CIFAR-10 and CIFAR-100 (Krizhevsky, 2009): colour, 32x32 pixels. Fashion-MNIST (arXiv:1708.07747): grey, 28x28.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from darts_core.data.images import ImageData, statistics
from darts_core.errors import DataError
from darts_core.training.stages import stage

# torchvision's class, and the files to copy to a machine without a network.
_CLASSES: Final = {
    "cifar10": ("CIFAR10", "cifar-10-batches-py"),
    "cifar100": ("CIFAR100", "cifar-100-python"),
    "fashion-mnist": ("FashionMNIST", "FashionMNIST/raw"),
}

# The published statistics, as the DARTS authors use them. Those of other sets are computed.
CIFAR10_MEAN: Final = (0.49139968, 0.48215827, 0.44653124)
CIFAR10_STD: Final = (0.24703233, 0.24348505, 0.26158768)


def read(name: str, data_root: Path) -> ImageData:
    """Read a catalogue set from data_root, downloading it first when missing.

    Raises DataError when it can be neither found nor downloaded.
    """
    train, test = _open(name, data_root)
    images = _images(train)
    mean, std = (CIFAR10_MEAN, CIFAR10_STD) if name == "cifar10" else statistics(images)
    return ImageData(
        train_images=images,
        train_labels=_labels(train),
        test_images=_images(test),
        test_labels=_labels(test),
        classes=tuple(train.classes),
        mean=mean,
        std=std,
    )


def _open(name: str, data_root: Path) -> tuple[Any, Any]:
    kind, folder = _CLASSES[name]
    try:
        from torchvision import datasets
    except ImportError as error:
        raise DataError(f"{name} needs torchvision: pip install torchvision ({error})") from error
    dataset = getattr(datasets, kind)

    def both(*, download: bool) -> tuple[Any, Any]:
        return dataset(data_root, train=True, download=download), dataset(data_root, train=False)

    try:
        return both(download=False)
    except RuntimeError:
        pass  # missing or damaged: download it
    try:
        data_root.mkdir(parents=True, exist_ok=True)
        # Two workers on one machine must not unpack over each other.
        with stage(f"downloading: {name}"), (data_root / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return both(download=True)
    except (OSError, RuntimeError) as error:
        source = getattr(dataset, "url", None) or dataset.mirrors[0]
        raise DataError(
            f"{name} is not under {data_root} and could not be downloaded ({error}); on a machine without a network "
            f"put its folder {folder} there, with the files of {source}"
        ) from error


def _images(split: Any) -> Tensor:
    pixels = torch.as_tensor(split.data)
    return pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()


def _labels(split: Any) -> Tensor:
    return torch.as_tensor(split.targets, dtype=torch.int64)
