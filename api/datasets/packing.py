"""Packs the files of an upload into one data set: decodes, selects one size, splits and writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Final

from api.datasets.archive_limits import Limits, UnusableError
from api.datasets.archives import Entry
from api.datasets.images import Placed, placed_images
from api.datasets.report import Report
from api.datasets.splitting import split
from api.datasets.spool import Spool
from darts_core.data.packed import PARTS, Layout, write

# Each of the two reduction cells halves the image, and some pixels must remain.
SMALLEST_SIDE: Final = 4


def pack(
    entries: Iterable[Entry],
    spool_file: BinaryIO,
    out: Path,
    *,
    source_bytes: int,
    size: int | None,
    limits: Limits,
    report: Report,
) -> dict[str, Any]:
    """Write the usable images to `out`; returns the set's checksum, size in bytes and dimensions as JSON.

    spool_file: an empty file for decoded images. source_bytes: the upload's size. size: pixels per side to scale all
    images to. Raises UnusableError if the images do not form a data set.
    """
    spool = Spool(spool_file, source_bytes, limits)
    images = placed_images(entries, spool, size=size, limits=limits, report=report)
    images = _most_common_size(images, report, scaled=size is not None)
    classes, parts, held_out = split(images, report)
    first = parts["train"].images[0]
    channels = max(image.channels for part in parts.values() for image in part.images)
    counts = {part: len(parts[part].images) for part in PARTS}
    spool.check(sum(counts.values()) * channels * first.height * first.width)
    layout = Layout(classes, channels, first.height, first.width, counts)
    labels = {part: parts[part].labels for part in PARTS}
    written = write(out, layout, labels, {part: spool.pixels(parts[part].images, channels) for part in PARTS})
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


def _most_common_size(images: Placed, report: Report, *, scaled: bool) -> Placed:
    """The images of the most common size, or of the larger one on a tie."""
    counts = Counter((image.height, image.width) for image, _ in images)
    (height, width), count = max(counts.items(), key=lambda item: (item[1], item[0]))
    if not scaled and 2 * count < len(images):
        raise UnusableError(
            f"the images have {len(counts):,} sizes, and only {count:,} of {len(images):,} have the most common one, "
            f"{width}x{height}: give a size to scale all images to, such as size=64"
        )
    if min(height, width) < SMALLEST_SIDE:
        raise UnusableError(
            f"the images have {width}x{height} pixels: at least {SMALLEST_SIDE}x{SMALLEST_SIDE} are needed; give a "
            "size to scale them to, such as size=32"
        )
    kept = []
    for image, place in images:
        if (image.height, image.width) == (height, width):
            kept.append((image, place))
        else:
            detail = f"has {image.width}x{image.height} pixels, most have {width}x{height}; give a size to scale all to"
            report.skip(image.parts, "of another size", detail)
    return kept
