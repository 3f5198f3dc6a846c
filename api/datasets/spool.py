"""Decoded images on the disk, until it is known which of them make the set."""

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
    """A decoded image: where its bytes (H, W, C) lie in the spool. digest: of what it shows."""

    parts: tuple[str, ...]
    offset: int
    height: int
    width: int
    channels: int
    digest: str


class Spool:
    """Takes images one after another and gives them back in any order.

    file: empty, open for reading and writing. source_bytes: the upload's size.
    """

    def __init__(self, file: BinaryIO, source_bytes: int, limits: Limits) -> None:
        self._file, self._source_bytes, self._limits = file, source_bytes, limits
        self._size = 0

    def add(self, parts: tuple[str, ...], pixels: Pixels) -> SpooledImage:
        """Put away one image (H, W, C). Raises UnusableError when all together are too many bytes."""
        data = pixels.tobytes()
        self._file.write(data)
        height, width, channels = pixels.shape
        digest = hashlib.sha256(f"{pixels.shape}".encode() + data).hexdigest()
        image = SpooledImage(parts, self._size, height, width, channels, digest)
        self._size += len(data)
        self.check(self._size)
        return image

    def check(self, stored: int) -> None:
        """Raise UnusableError when so many bytes of pixels would be too many, or out of proportion to the upload."""
        limits = self._limits
        if stored > limits.packed_bytes:
            raise UnusableError(
                f"the decoded images need more than {limits.packed_bytes:,} bytes, and a set is held in memory whole: "
                "scale them down (size=...)"
            )
        if stored > limits.ratio_from and stored > limits.ratio * self._source_bytes:
            raise UnusableError(
                f"the decoded images need more than {limits.ratio} times the upload's {self._source_bytes:,} bytes, as "
                "no set of pictures does: scale them down (size=...)"
            )

    def pixels(self, images: Iterable[SpooledImage], channels: int) -> Iterator[Pixels]:
        """The images (H, W, channels); a grey one among coloured ones has three equal channels."""
        for image in images:
            self._file.seek(image.offset)
            shape = (image.height, image.width, image.channels)
            pixels = np.frombuffer(self._file.read(int(np.prod(shape))), dtype=np.uint8).reshape(shape)
            yield np.broadcast_to(pixels, (*shape[:2], channels))
