"""How much an upload may unfold to before it is refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """unpacked_bytes: of the whole archive. entries: in it. ratio: unpacked bytes for each byte of the archive, which
    counts from `ratio_from` bytes on, as stored bytes do. file_bytes: of one file. array_bytes: of a file of arrays.
    pixels: of one image. packed_bytes: of all decoded images.
    """

    unpacked_bytes: int = 64 * 2**30
    entries: int = 2_000_000
    ratio: int = 200
    ratio_from: int = 64 * 2**20
    file_bytes: int = 64 * 2**20
    array_bytes: int = 2**30
    pixels: int = 2**25
    # Workers hold a set in memory whole, on the device too.
    packed_bytes: int = 8 * 2**30


class UnusableError(Exception):
    """Nothing can be made of the upload; the message says why, and the way out."""


class OnlyTextError(UnusableError):
    """There is no image in it, but a file called like a text's part."""
