"""Spools decoded images on disk until the images of the set are selected."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from api.datasets.archive_limits import Limits, UnusableError
from darts_core.data.decoding import Pixels


@dataclass(frozen=True)
class SpooledImage:
    """A decoded image. offset: of its bytes (H, W, C) in the spool. digest: the SHA-256 of its shape and bytes."""

    parts: tuple[str, ...]
    offset: int
    height: int
    width: int
    channels: int
    digest: str


class Spool:
    """Stores images in sequence and reads them in any order.

    file: empty, open for reading and writing. source_bytes: the upload's size.
    """

    def __init__(self, file: BinaryIO, source_bytes: int, limits: Limits) -> None:
        self._file, self._source_bytes, self._limits = file, source_bytes, limits
        self._size = 0

    def add(self, parts: tuple[str, ...], pixels: Pixels) -> SpooledImage:
        """Store one image (H, W, C). Raises UnusableError if the total exceeds a limit."""
        data = pixels.tobytes()
        self._file.write(data)
        height, width, channels = pixels.shape
        digest = hashlib.sha256(f"{pixels.shape}".encode() + data).hexdigest()
        image = SpooledImage(parts, self._size, height, width, channels, digest)
        self._size += len(data)
        self.check(self._size)
        return image

    def check(self, stored: int) -> None:
        """Raise UnusableError if `stored` bytes of pixels exceed the limit or the ratio to the upload."""
        limits = self._limits
        if stored > limits.packed_bytes:
            raise UnusableError(
                f"the decoded images need more than {limits.packed_bytes:,} bytes, and workers "
                "hold a whole set in memory: scale them down (size=...)"
            )
        if stored > limits.ratio_from and stored > limits.ratio * self._source_bytes:
            raise UnusableError(
                f"the decoded images need more than {limits.ratio} times the upload's {self._source_bytes:,} bytes, "
                "which no set of images does: scale them down (size=...)"
            )

    def pixels(self, images: Iterable[SpooledImage], channels: int) -> Iterator[Pixels]:
        """Yield the images as (H, W, channels); a grey image in a set with three channels is repeated."""
        for image in images:
            self._file.seek(image.offset)
            shape = (image.height, image.width, image.channels)
            pixels = np.frombuffer(self._file.read(int(np.prod(shape))), dtype=np.uint8).reshape(shape)
            yield np.broadcast_to(pixels, (*shape[:2], channels))
