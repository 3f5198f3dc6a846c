"""From the files of an upload to one packed data set: decode all, sort out what does not fit, split, write."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from api.datasets.archives import Entry
from api.datasets.layout import Place, arrange
from api.datasets.limits import Limits, OnlyTextError, UnusableError
from api.datasets.report import Report
from api.datasets.texts import FILES
from darts_core.data.decoding import SUFFIXES, Pixels, decode
from darts_core.data.held_out import TEST_SHARE, VALID_SHARE, held_out_indices
from darts_core.data.packed import PARTS, Layout, write
from darts_core.errors import DataError
from darts_core.printable import printable

# Each of the two reduction cells halves an image, and something has to be left.
SMALLEST_SIDE: Final = 4
_SHARES: Final = {"test": TEST_SHARE, "valid": VALID_SHARE}


@dataclass(frozen=True)
class _Image:
    """A decoded image: where its bytes (H, W, C) lie in the spool. digest: of what it shows."""

    parts: tuple[str, ...]
    offset: int
    height: int
    width: int
    channels: int
    digest: str


@dataclass(frozen=True)
class _Sorted:
    """The images of one part, in the order in which they are stored, and their labels."""

    images: list[_Image]
    labels: list[int]


def pack(
    entries: Iterable[Entry], spool: BinaryIO, out: Path, *, size: int | None, limits: Limits, report: Report
) -> dict[str, Any]:
    """Write the usable images to `out`; the set's checksum, size in bytes and sizes as JSON.

    spool: an empty file for decoded images. size: scale all to so many pixels a side. Raises UnusableError when no
    data set can be made of them.
    """
    images = _placed(_decoded(entries, spool, size, limits, report), report)
    images = _of_one_size(images, report, scaled=size is not None)
    classes, parts, held_out = _split(images)
    first = parts["train"].images[0]
    channels = max(image.channels for part in parts.values() for image in part.images)
    counts = {part: len(parts[part].images) for part in PARTS}
    if sum(counts.values()) * channels * first.height * first.width > limits.packed_bytes:
        raise _too_much(limits)
    layout = Layout(classes, channels, first.height, first.width, counts)
    labels = {part: parts[part].labels for part in PARTS}
    written = write(out, layout, labels, {part: _pixels(spool, parts[part].images, channels) for part in PARTS})
    return {
        "kind": "images",
        "checksum": written.checksum,
        "size": written.size,
        "info": {
            "classes": list(classes),
            "height": first.height,
            "width": first.width,
            "channels": channels,
            **counts,
            "held_out": held_out,
            "mean": list(written.mean),
            "std": list(written.std),
        },
    }


def _decoded(
    entries: Iterable[Entry], spool: BinaryIO, size: int | None, limits: Limits, report: Report
) -> list[_Image]:
    images: list[_Image] = []
    offset, texts = 0, False
    for entry in entries:
        name = entry.parts[-1]
        texts = texts or name in FILES
        if entry.problem is not None:
            report.skip(entry.parts, "no file that can be taken", entry.problem)
        elif not any(name.lower().endswith(suffix) for suffix in SUFFIXES):
            report.skip(entry.parts, "no image by its name", f"is no image by its name; known: {_known_suffixes()}")
        else:
            try:
                pixels = decode(BytesIO(entry.read()), size=size, most_pixels=limits.pixels)
            except DataError as error:
                report.skip(entry.parts, "no image that can be decoded", str(error))
                continue
            data = pixels.tobytes()
            spool.write(data)
            height, width, channels = pixels.shape
            digest = hashlib.sha256(f"{pixels.shape}".encode() + data).hexdigest()
            images.append(_Image(entry.parts, offset, height, width, channels, digest))
            offset += len(data)
            if offset > limits.packed_bytes:
                raise _too_much(limits)
    if not images and texts:
        raise OnlyTextError("there is no image in it, but a text: leave kind and size out, or say kind=text")
    if not images:
        raise UnusableError(f"there is no usable image in it{report.most_common}")
    return images


def _known_suffixes() -> str:
    return ", ".join(sorted(SUFFIXES))


def _too_much(limits: Limits) -> UnusableError:
    return UnusableError(
        f"the decoded images need more than {limits.packed_bytes:,} bytes, and a set is held in memory whole: scale "
        "them down (size=...)"
    )


def _placed(images: list[_Image], report: Report) -> list[tuple[_Image, Place]]:
    placed = []
    for image, place in zip(images, arrange([image.parts for image in images]), strict=True):
        if isinstance(place, Place):
            placed.append((image, place))
        else:
            report.skip(image.parts, "not in a class folder", place)
    if not any(place.part == "train" for _, place in placed):
        raise UnusableError(f"no image lies in a class folder to train on{report.most_common}")
    return placed


def _of_one_size(images: list[tuple[_Image, Place]], report: Report, *, scaled: bool) -> list[tuple[_Image, Place]]:
    """Those of the most common size, the larger one of two that are as common."""
    counts = Counter((image.height, image.width) for image, _ in images)
    (height, width), count = max(counts.items(), key=lambda item: (item[1], item[0]))
    if not scaled and 2 * count < len(images):
        raise UnusableError(
            f"the images have {len(counts):,} sizes, and only {count:,} of {len(images):,} the most common one, "
            f"{width}x{height}: name a size to scale all to, say size=64"
        )
    if min(height, width) < SMALLEST_SIDE:
        raise UnusableError(
            f"the images have {width}x{height} pixels: at least {SMALLEST_SIDE}x{SMALLEST_SIDE} are needed; name a "
            "size to scale them to, say size=32"
        )
    kept = []
    for image, place in images:
        if (image.height, image.width) == (height, width):
            kept.append((image, place))
        else:
            detail = f"has {image.width}x{image.height} pixels, most have {width}x{height}; name a size to scale all to"
            report.skip(image.parts, "of another size", detail)
    return kept


def _split(images: list[tuple[_Image, Place]]) -> tuple[tuple[str, ...], dict[str, _Sorted], list[str]]:
    """The classes, the images of each part, and the parts that were not given: held out of the training images.

    Everything goes by what the images show, not by their names or order: the same images give the same split.
    """
    classes = sorted({place.label for _, place in images if place.part == "train"})
    if len(classes) < 2:
        raise UnusableError(f"there is only one class, {printable(classes[0])!r}: nothing to tell apart; add a second")
    numbers = {name: number for number, name in enumerate(classes)}
    parts: dict[str, list[tuple[int, _Image]]] = {part: [] for part in PARTS}
    for image, place in images:
        if place.label not in numbers:
            raise UnusableError(
                f"the {place.part} part has a class {printable(place.label)!r} that the training part lacks: add it "
                "there or remove it"
            )
        parts[place.part].append((numbers[place.label], image))
    for part in PARTS:
        parts[part].sort(key=lambda pair: (pair[0], pair[1].digest))
    missing = [part for part in ("test", "valid") if not parts[part]]
    for part in missing:
        parts["train"], parts[part] = _held_out(parts["train"], part)
    shown = tuple(map(printable, classes))
    if len(set(shown)) < len(shown):
        raise UnusableError("two classes have names that differ only in characters that cannot be shown: rename one")
    chosen = {part: _Sorted([i for _, i in pairs], [n for n, _ in pairs]) for part, pairs in parts.items()}
    return shown, chosen, missing


def _held_out(pairs: list[tuple[int, _Image]], part: str) -> tuple[list[tuple[int, _Image]], list[tuple[int, _Image]]]:
    wanted = max(1, round(_SHARES[part] * len(pairs)))
    chosen = set(held_out_indices([n for n, _ in pairs], [image.digest for _, image in pairs], wanted))
    if not chosen:
        raise UnusableError(f"there are too few images to hold any out for the {part} part: add some")
    return [p for i, p in enumerate(pairs) if i not in chosen], [p for i, p in enumerate(pairs) if i in chosen]


def _pixels(spool: BinaryIO, images: list[_Image], channels: int) -> Iterator[Pixels]:
    for image in images:
        spool.seek(image.offset)
        shape = (image.height, image.width, image.channels)
        pixels = np.frombuffer(spool.read(int(np.prod(shape))), dtype=np.uint8).reshape(shape)
        # A grey image among coloured ones.
        yield np.broadcast_to(pixels, (*shape[:2], channels))
