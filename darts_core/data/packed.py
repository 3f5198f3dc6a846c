"""Stores a checked data set as one file: labels and images as bytes behind a JSON header, in the safetensors layout.

The same images in the same parts and classes always give the same file, so its SHA-256 identifies the data. The file
holds no code. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from darts_core.data.decoding import Pixels
from darts_core.data.moments import moments
from darts_core.errors import DataError

PARTS: Final = ("train", "valid", "test")
_FORMAT: Final = "dartboard-images-1"
_TYPES: Final[dict[str, np.dtype[Any]]] = {"U8": np.dtype("u1"), "I64": np.dtype("<i8"), "F64": np.dtype("<f8")}
_LONGEST_HEADER: Final = 2**26


@dataclass(frozen=True)
class Layout:
    """Shape of a packed file. images: how many in each of `PARTS`."""

    classes: tuple[str, ...]
    channels: int
    height: int
    width: int
    images: Mapping[str, int]


@dataclass(frozen=True)
class Packed:
    """A packed file in memory. images: (N, C, H, W) for each of `PARTS`; labels: (N,). mean, std: of the training
    images.
    """

    classes: tuple[str, ...]
    images: dict[str, npt.NDArray[np.uint8]]
    labels: dict[str, npt.NDArray[np.int64]]
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Written:
    """Result of `write`. size: in bytes. mean, std: per channel, of the training images scaled to 0..1."""

    checksum: str
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def write(
    path: Path, layout: Layout, labels: Mapping[str, Sequence[int]], images: Mapping[str, Iterable[Pixels]]
) -> Written:
    """Write images, each (H, W, C) and consumed one at a time, and their labels, part by part."""
    digest, size = hashlib.sha256(), 0
    histograms = np.zeros((layout.channels, 256), dtype=np.int64)
    with path.open("wb") as file:

        def put(data: bytes) -> None:
            nonlocal size
            digest.update(data)
            size += file.write(data)

        put(_header(layout))
        for part in PARTS:
            put(np.asarray(labels[part], dtype="<i8").tobytes())
        for part in PARTS:
            for image in images[part]:
                planes = np.ascontiguousarray(image.transpose(2, 0, 1))
                put(planes.tobytes())
                if part == "train":
                    for channel, plane in enumerate(planes):
                        histograms[channel] += np.bincount(plane.reshape(-1), minlength=256)
        pairs = [moments(histogram) for histogram in histograms.tolist()]
        # Last: the labels are known only now.
        put(np.asarray(pairs, dtype="<f8").tobytes())
    mean, std = tuple(m for m, _ in pairs), tuple(s for _, s in pairs)
    return Written(digest.hexdigest(), size, mean, std)


def _header(layout: Layout) -> bytes:
    entries: dict[str, Any] = {"__metadata__": {"format": _FORMAT, "classes": json.dumps(layout.classes)}}
    end = 0

    def add(name: str, kind: str, *shape: int) -> None:
        nonlocal end
        start = end
        end += int(np.prod(shape, dtype=np.int64)) * _TYPES[kind].itemsize
        entries[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}

    for part in PARTS:
        add(f"{part}_labels", "I64", layout.images[part])
    for part in PARTS:
        add(f"{part}_images", "U8", layout.images[part], layout.channels, layout.height, layout.width)
    # Unaligned after the images' bytes; a reader that maps the file must copy this tensor.
    add("mean_and_std", "F64", layout.channels, 2)
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def read(path: Path, checksum: str) -> Packed:
    """Read a file written by `write`. Raises DataError when its content does not match the checksum."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != checksum:
                raise DataError(
                    f"{path} has the checksum {found}, not {checksum}: remove it, and the worker fetches it again"
                )
            file.seek(0)
            return _read(file)
    except FileNotFoundError:
        raise DataError(f"the data set of checksum {checksum} is not here: {path} is missing") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a packed data set of this version: {error}") from error


def _read(file: BufferedReader) -> Packed:
    length = int.from_bytes(file.read(8), "little")
    if length > _LONGEST_HEADER:
        raise ValueError("its header is too long")
    header = json.loads(file.read(length))
    if header["__metadata__"]["format"] != _FORMAT:
        raise ValueError(f"its format is not {_FORMAT}")

    def array(name: str) -> npt.NDArray[Any]:
        entry = header[name]
        file.seek(8 + length + entry["data_offsets"][0])
        count = int(np.prod(entry["shape"], dtype=np.int64))
        found: npt.NDArray[Any] = np.fromfile(file, _TYPES[entry["dtype"]], count)
        return found.reshape(entry["shape"])

    pairs = array("mean_and_std").tolist()
    return Packed(
        classes=tuple(json.loads(header["__metadata__"]["classes"])),
        images={part: array(f"{part}_images") for part in PARTS},
        labels={part: array(f"{part}_labels") for part in PARTS},
        mean=tuple(mean for mean, _ in pairs),
        std=tuple(std for _, std in pairs),
    )
