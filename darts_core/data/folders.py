"""Reads class folders: NAME/class/* or NAME/{train,valid,test}/class/*; all images have the same size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from darts_core.data.decoding import SUFFIXES, Pixels, decode, is_image_name
from darts_core.data.held_out import TEST_SHARE, held_out_indices
from darts_core.data.images import ImageData, statistics
from darts_core.data.part_names import check_part_folders, check_unknown_folders, class_name, part_of
from darts_core.errors import DataError

# The arrays are held in memory, on the device too.
LARGEST_BYTES = 8 * 2**30


@dataclass(frozen=True)
class _File:
    path: Path
    name: str
    label: int


def read(name: str, data_root: Path) -> ImageData:
    """Read the folder NAME directly under data_root.

    Part folders go by the names in `darts_core.data.part_names` (`valid`, `val`, `dev`). A validation folder beside
    `train` gives the validation images. Without a `test` folder, a fifth of each class is held out, chosen by file name
    without a seed. Classes are numbered in alphabetical order. Hidden files and files without an image suffix are
    skipped. Images are grey when all of them are, else colour.

    Raises DataError, naming the file, for a missing or empty folder, a path that leads out of data_root (links are
    followed first), a broken image, images of different sizes, or a labelled folder whose name is no part's.
    """
    root = data_root.resolve()
    folder = _inside(data_root / name, root)
    if not folder.is_dir():
        raise DataError(f"there is no folder {name!r} under {data_root}; put class folders with images there")
    parts = _parts(folder, root)
    if "train" not in parts:
        return _split_by_us(folder, root)
    classes = _classes(parts["train"], root)
    train = _files(parts["train"], classes, root)
    valid, test = (_part(parts[part], classes, root) if part in parts else [] for part in ("valid", "test"))
    return _decoded(train, valid, test, classes) if test else _held_out(train, valid, classes)


def _parts(folder: Path, root: Path) -> dict[str, Path]:
    """Find the folder of each part. Raises DataError when the part of a folder is ambiguous."""
    inside = _subfolders(folder, root)
    found = {part: path for path in inside if (part := part_of(path.name))}
    if "train" not in found or not _subfolders(found["train"], root):
        return {}
    check_part_folders(path.name for path in inside)
    others = {path.name: set(_classes(path, root)) for path in inside if part_of(path.name) is None}
    check_unknown_folders(others, set(_classes(found["train"], root)))
    return found


def _classes(folder: Path, root: Path) -> list[str]:
    return sorted({class_name(path.name) for path in _subfolders(folder, root)})


def _part(folder: Path, classes: list[str], root: Path) -> list[_File]:
    """Files of the validation or test part."""
    unknown = sorted(set(_classes(folder, root)) - set(classes))
    if unknown:
        part = f"{folder.parent.name}/{folder.name}"
        raise DataError(
            f"{part} has a class {unknown[0]!r} that {folder.parent.name}/train lacks; add it there or remove it"
        )
    return _files(folder, classes, root)


def _split_by_us(folder: Path, root: Path) -> ImageData:
    classes = _classes(folder, root)
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
    """Images of each class, ordered by class and name. A part may lack a class."""
    numbers = {name: number for number, name in enumerate(classes)}
    files: list[_File] = []
    for place in sorted(_subfolders(folder, root), key=lambda path: (numbers[class_name(path.name)], path.name)):
        label = class_name(place.name)
        images = sorted(path for path in place.iterdir() if is_image_name(path.name))
        if not images:
            raise DataError(f"{place} holds no images; known suffixes: {', '.join(sorted(SUFFIXES))}")
        files += [_File(_inside(path, root), f"{label}/{path.name}", numbers[label]) for path in images]
    return files


def _inside(path: Path, root: Path) -> Path:
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError) as error:  # a link loop
        raise DataError(f"{path} cannot be followed: {error}") from error
    if not resolved.is_relative_to(root):
        raise DataError(f"{path} leads out of the data root {root}; copy the images into it instead of linking them")
    return resolved


def _decoded(train: list[_File], valid: list[_File], test: list[_File], classes: list[str]) -> ImageData:
    if len(classes) < 2:
        raise DataError(f"only one class, {classes[0]!r}: add a second class folder")
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
    """Collects decoded images and checks that their sizes match and fit in memory."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._arrays: list[Pixels] = []
        self._first: Path | None = None

    def add(self, path: Path) -> None:
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
        """uint8 (N, C, H, W); grey images become colour when any image is colour."""
        channels = max(array.shape[2] for array in self._arrays)
        out = np.empty((len(self._arrays), channels, *self._arrays[0].shape[:2]), dtype=np.uint8)
        for i, array in enumerate(self._arrays):
            out[i] = array.transpose(2, 0, 1)
        return torch.from_numpy(out)


def _decode(path: Path) -> Pixels:
    try:
        return decode(path).pixels
    except DataError as error:
        raise DataError(f"{path} {error}") from error


def _size(array: Pixels) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"
