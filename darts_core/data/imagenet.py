"""Reads ImageNet as class folders, imagenet/{train,val}/CLASS/IMAGE under the data root, file by file.

Any other set in that layout works as well. The published validation images serve as test images, as in published
tables; a run holds out training images to choose its best epoch.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import torch

from darts_core.configs.decoder import DecoderName
from darts_core.data.catalogue import BUILT_IN
from darts_core.data.decoding import SUFFIXES, is_image_name
from darts_core.data.files import FileImages
from darts_core.data.images import ImageData
from darts_core.data.part_names import class_name
from darts_core.errors import DataError

# The published statistics.
MEAN: Final = (0.485, 0.456, 0.406)
STD: Final = (0.229, 0.224, 0.225)


def read(data_root: Path, decoder: DecoderName = "pillow") -> ImageData:
    """List the files of both parts in name order, without opening an image. Raises DataError."""
    folder = data_root / "imagenet"
    if not (folder / "train").is_dir() or not (folder / "val").is_dir():
        raise DataError(f"imagenet needs the folders {folder}/train and {folder}/val, with a folder for each class")
    classes = _names(folder / "train")
    if len(classes) < 2:
        raise DataError(f"{folder}/train holds {len(classes)} class folders; at least two are needed")
    if unknown := sorted(set(_names(folder / "val")) - set(classes)):
        raise DataError(f"{folder}/val has a class {unknown[0]!r} that {folder}/train lacks; add it there or remove it")
    train_paths, train_labels = _files(folder / "train", classes)
    test_paths, test_labels = _files(folder / "val", classes)
    size = BUILT_IN["imagenet"].side
    return ImageData(
        train_images=FileImages(train_paths, size, decoder=decoder),
        train_labels=torch.tensor(train_labels),
        test_images=FileImages(test_paths, size, decoder=decoder),
        test_labels=torch.tensor(test_labels),
        classes=tuple(classes),
        mean=MEAN,
        std=STD,
    )


def _names(folder: Path) -> list[str]:
    return sorted({class_name(name) for name in _folders(folder)})


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _files(folder: Path, classes: list[str]) -> tuple[list[Path], list[int]]:
    """Images of each class, ordered by class and name. The test part may lack a class."""
    numbers = {name: number for number, name in enumerate(classes)}
    paths: list[Path] = []
    labels: list[int] = []
    for name in sorted(_folders(folder), key=lambda name: (numbers[class_name(name)], name)):
        with os.scandir(folder / name) as entries:
            found = sorted(entry.name for entry in entries if is_image_name(entry.name))
        paths += [folder / name / file for file in found]
        labels += [numbers[class_name(name)]] * len(found)
    if not paths:
        raise DataError(f"{folder} holds no images in its class folders; known suffixes: {', '.join(sorted(SUFFIXES))}")
    return paths, labels
