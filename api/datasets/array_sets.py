"""Reads labelled images from files of arrays: MNIST's idx files, CIFAR's batches, .npz and .npy."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from api.datasets.archive_limits import Limits, UnusableError
from api.datasets.archives import Entry
from api.datasets.layout import Place
from darts_core.data.array_files import arrays_of
from darts_core.data.decoding import Pixels
from darts_core.data.part_names import class_name, part_of
from darts_core.errors import DataError
from darts_core.printable import printable

_IMAGES: Final = frozenset({"x", "images", "image", "data", "imgs"})
_LABELS: Final = frozenset({"y", "labels", "label", "targets", "target"})
_CLASS_NAMES: Final = ("fine_label_names", "label_names")
_EXPECTED: Final = (
    "expected images and labels: train-images-idx3-ubyte and train-labels-idx1-ubyte, x_train and y_train, "
    "train_images and train_labels, or images and labels"
)
_CHANNELS: Final = (1, 3)


@dataclass
class _Pieces:
    """The arrays of one part, by file."""

    images: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    labels: dict[str, list[str]] = field(default_factory=dict)


class ArraySet:
    """Collects the arrays of an upload; `images` then pairs images with labels."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parts: dict[str, _Pieces] = defaultdict(_Pieces)
        self._class_names: list[str] | None = None

    def __bool__(self) -> bool:
        return bool(self._parts)

    def take(self, entry: Entry) -> bool:
        """Read a file's arrays; False if it holds none. Raises DataError."""
        arrays = arrays_of(entry.parts[-1], entry.read(), self._limits.array_bytes)
        for names in _CLASS_NAMES:
            if names in arrays:
                self._class_names = [str(name) for name in arrays[names]]
                return True
        batch = "data" in arrays and ("labels" in arrays or "fine_labels" in arrays)
        file = entry.parts[-1] if batch and not entry.parts[-1].endswith(".npz") else ""
        if file:
            part = _part_in(file)
            arrays = {f"{part}_images": _cifar_images(arrays["data"]), f"{part}_labels": _cifar_labels(arrays)}
        taken = False
        for name, array in arrays.items():
            taken |= self._add(name, array, file or entry.name)
        if arrays and not taken:
            raise DataError(f"holds {printable(', '.join(arrays))}; {_EXPECTED}")
        return taken

    def _add(self, name: str, array: Any, file: str) -> bool:
        """Store an array by its name; False if the name denotes neither images nor labels."""
        tokens = set(re.split(r"[^a-z0-9]+", name.lower()))
        if not tokens & (_IMAGES | _LABELS):
            return False
        pieces = self._parts[_part_in(name)]
        known: dict[str, Any] = pieces.images if tokens & _IMAGES else pieces.labels
        if file in known or (known and not _is_batch(file)):
            raise DataError(f"holds a second array of {name}: upload the files of one set only")
        if known is pieces.images:
            pieces.images[file] = _channels_last(np.asarray(array), name)
        else:
            pieces.labels[file] = _labels(array, name)
        return True

    def images(self) -> Iterator[tuple[tuple[str, ...], Pixels, Place]]:
        """Yield each image with a name and its place. Raises UnusableError if images and labels do not match."""
        for part, pieces in sorted(self._parts.items()):
            if not pieces.images and not pieces.labels:
                continue
            labels = [label for file in sorted(pieces.labels) for label in pieces.labels[file]]
            count = sum(map(len, pieces.images.values()))
            if count != len(labels):
                raise UnusableError(f"the {part} part has {count:,} images and {len(labels):,} labels; {_EXPECTED}")
            numbers = iter(labels)
            for file in sorted(pieces.images):
                for index, image in enumerate(pieces.images[file]):
                    yield (file, str(index)), image, Place(part, self._class(next(numbers)))

    def _class(self, label: str) -> str:
        names = self._class_names
        return class_name(names[int(label)] if names and label.isdecimal() and int(label) < len(names) else label)


def _part_in(name: str) -> str:
    """The part named in a file's or an array's name; train if there is none."""
    words = re.split(r"[^a-z0-9]+", name.lower().replace("t10k", "test"))
    return next((part for word in words if (part := part_of(word))), "train")


def _is_batch(file: str) -> bool:
    return "batch" in file


def _cifar_labels(arrays: dict[str, Any]) -> Any:
    return arrays["fine_labels"] if "fine_labels" in arrays else arrays["labels"]


def _cifar_images(data: Any) -> npt.NDArray[Any]:
    """CIFAR's rows (N, 3 * side * side), channel by channel, as (N, 3, side, side)."""
    rows = np.asarray(data)
    side = int((rows.size / max(1, len(rows)) / 3) ** 0.5)
    if rows.ndim != 2 or rows.shape[1] != 3 * side * side:
        raise DataError(f"holds data of the shape {rows.shape}; expected (N, 3 * side * side)")
    return rows.reshape(-1, 3, side, side)


def _channels_last(array: npt.NDArray[Any], name: str) -> npt.NDArray[np.uint8]:
    """(N, H, W), (N, H, W, C) or (N, C, H, W) as uint8 (N, H, W, C)."""
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or not (array.shape[3] in _CHANNELS or array.shape[1] in _CHANNELS):
        raise DataError(f"has {name} of the shape {array.shape}; expected (N, H, W) or (N, H, W, C), C being 1 or 3")
    if array.shape[3] not in _CHANNELS:
        array = array.transpose(0, 2, 3, 1)
    return _bytes(array, name)


def _bytes(array: npt.NDArray[Any], name: str) -> npt.NDArray[np.uint8]:
    if array.dtype == np.uint8 or array.size == 0:
        return array.astype(np.uint8, copy=False)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "iuf":
        raise DataError(f"has {name} of the type {array.dtype}; expected uint8")
    low, high = float(array.min()), float(array.max())
    if array.dtype == np.uint16 and high > 255:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        scaled: npt.NDArray[np.uint8] = np.rint(array * 255).astype(np.uint8)
        return scaled
    if array.dtype.kind in "iu" and low >= 0 and high <= 255:
        return array.astype(np.uint8)
    raise DataError(f"has {name} from {low:g} to {high:g}; expected whole numbers 0..255, or 0..1 as floats")


def _labels(given: Any, name: str) -> list[str]:
    array = np.asarray(given)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iubfUS":
        raise DataError(f"has {name} of the shape {array.shape} and type {array.dtype}; expected one label an image")
    if array.dtype.kind == "f":
        if not np.array_equal(array, np.rint(array)):
            raise DataError(f"has {name} that are not whole numbers; expected one label an image")
        array = array.astype(np.int64)
    if array.dtype.kind == "b":
        array = array.astype(np.int64)
    if array.dtype.kind == "S":
        return [label.decode("utf-8", "replace") for label in array.tolist()]
    return [str(label) for label in array.tolist()]
