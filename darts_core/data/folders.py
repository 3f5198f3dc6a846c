"""Class folders: NAME/class/* or NAME/{train,valid,test}/class/*, every image of the same size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from darts_core.data.decoding import SUFFIXES, Pixels, decode
from darts_core.data.held_out import TEST_SHARE, held_out_indices
from darts_core.data.images import ImageData, statistics
from darts_core.errors import DataError

# The arrays are held in memory whole, on the device too.
LARGEST_BYTES = 8 * 2**30
_VALIDATION_FOLDERS = ("valid", "val")


@dataclass(frozen=True)
class _File:
    path: Path
    name: str
    label: int


def read(name: str, data_root: Path) -> ImageData:
    """The folder NAME directly under data_root.

    A `valid` (or `val`) folder beside `train` gives the validation images. Without a `test` folder a fifth of each
    class is held out of the training images, chosen by the files' names, without a seed. Classes are numbered in
    alphabetical order. Files that start with a dot or are no images by their suffix are passed over. Images are grey
    when all of them are, else colour.

    Raises DataError, naming the file, for anything that cannot be used: a missing or empty folder, a path that leads
    out of data_root (links are followed first), a broken image, images of different sizes.
    """
    root = data_root.resolve()
    folder = _inside(data_root / name, root)
    if not folder.is_dir():
        raise DataError(f"there is no folder {name!r} under {data_root}; put class folders with images there")
    classes = [c.name for c in _subfolders(folder / "train", root)]
    if not classes:
        return _split_by_us(folder, root)
    train = _files(folder / "train", classes, root)
    valid = [file for part in _VALIDATION_FOLDERS for file in _part(folder / part, classes, root)]
    test = _part(folder / "test", classes, root)
    return _decoded(train, valid, test, classes) if test else _held_out(train, valid, classes)


def _part(folder: Path, classes: list[str], root: Path) -> list[_File]:
    """The files of a part that may be missing."""
    unknown = sorted({c.name for c in _subfolders(folder, root)} - set(classes))
    if unknown:
        part = f"{folder.parent.name}/{folder.name}"
        raise DataError(
            f"{part} has a class {unknown[0]!r} that {folder.parent.name}/train lacks; add it there or remove it"
        )
    return _files(folder, classes, root)


def _split_by_us(folder: Path, root: Path) -> ImageData:
    classes = [c.name for c in _subfolders(folder, root)]
    if not classes:
        raise DataError(f"{folder.name} holds no class folders; expected {folder.name}/CLASS/IMAGE")
    return _held_out(_files(folder, classes, root), [], classes)


def _held_out(files: list[_File], valid: list[_File], classes: list[str]) -> ImageData:
    chosen = set(held_out_indices([f.label for f in files], [f.name for f in files], round(TEST_SHARE * len(files))))
    train = [file for i, file in enumerate(files) if i not in chosen]
    return _decoded(train, valid, [files[i] for i in sorted(chosen)], classes)


def _subfolders(folder: Path, root: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    found = sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.is_dir())
    for path in found:
        _inside(path, root)
    return found


def _files(folder: Path, classes: list[str], root: Path) -> list[_File]:
    files: list[_File] = []
    for label, class_name in enumerate(classes):
        if not (folder / class_name).is_dir():
            continue  # a class may be missing from one part of the data
        before = len(files)
        for path in sorted((folder / class_name).iterdir()):
            if not path.name.startswith(".") and path.suffix.lower() in SUFFIXES:
                files.append(_File(_inside(path, root), f"{class_name}/{path.name}", label))
        if len(files) == before:
            raise DataError(f"{folder / class_name} holds no images; known suffixes: {', '.join(sorted(SUFFIXES))}")
    return files


def _inside(path: Path, root: Path) -> Path:
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError) as error:  # a loop of links
        raise DataError(f"{path} cannot be followed: {error}") from error
    if not resolved.is_relative_to(root):
        raise DataError(f"{path} leads out of the data root {root}; copy the images into it instead of linking them")
    return resolved


def _decoded(train: list[_File], valid: list[_File], test: list[_File], classes: list[str]) -> ImageData:
    if len(classes) < 2:
        raise DataError(f"only one class, {classes[0]!r}: nothing to tell apart; add a second class folder")
    if not test:
        raise DataError("too few images to hold any out for testing; add images, or a test folder")
    files = [*train, *valid, *test]
    arrays = _Arrays(len(files))
    for file in files:
        arrays.add(file.path)
    sizes = [len(train), len(valid), len(test)]
    train_images, valid_images, test_images = torch.split(arrays.stacked(), sizes)
    train_labels, valid_labels, test_labels = torch.split(torch.tensor([f.label for f in files]), sizes)
    mean, std = statistics(train_images)
    return ImageData(
        train_images=train_images,
        train_labels=train_labels,
        valid_images=valid_images if valid else None,
        valid_labels=valid_labels if valid else None,
        test_images=test_images,
        test_labels=test_labels,
        classes=tuple(classes),
        mean=mean,
        std=std,
    )


class _Arrays:
    """Collects decoded images, checking that they fit together."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._arrays: list[Pixels] = []
        self._first: Path | None = None

    def add(self, path: Path) -> None:
        """Decode one image. Raises DataError."""
        array = _decode(path)
        if self._first is None:
            self._first = path
            needed = self._count * array.nbytes
            if needed > LARGEST_BYTES:
                raise DataError(
                    f"{self._count:,} images of {_size(array)} need {needed / 2**30:.1f} GiB in memory, more than "
                    f"{LARGEST_BYTES / 2**30:.0f}; scale them down, or lay them out as the data set imagenet, which is "
                    "read file by file"
                )
        elif array.shape[:2] != self._arrays[0].shape[:2]:
            raise DataError(
                f"{path} is {_size(array)}, but {self._first} is {_size(self._arrays[0])}: all images must have the "
                "same size; scale them before you put them there"
            )
        self._arrays.append(array)

    def stacked(self) -> Tensor:
        """uint8 (N, C, H, W); grey images turn to colour among coloured ones."""
        channels = max(array.shape[2] for array in self._arrays)
        out = np.empty((len(self._arrays), channels, *self._arrays[0].shape[:2]), dtype=np.uint8)
        for i, array in enumerate(self._arrays):
            out[i] = array.transpose(2, 0, 1)
        return torch.from_numpy(out)


def _decode(path: Path) -> Pixels:
    try:
        return decode(path)
    except DataError as error:
        raise DataError(f"{path} {error}") from error


def _size(array: Pixels) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"
