"""Defines the limits on the contents of an upload."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits on one upload; a larger one is refused.

    unpacked_bytes, entries: of the whole archive. ratio: unpacked bytes per byte of the archive, applied from
    ratio_from bytes on; also limits the decoded images. file_bytes: of one file. array_bytes: of one file of arrays.
    pixels: of one image. packed_bytes: of all decoded images.
    """

    unpacked_bytes: int = 64 * 2**30
    entries: int = 2_000_000
    ratio: int = 200
    ratio_from: int = 64 * 2**20
    file_bytes: int = 64 * 2**20
    array_bytes: int = 2**30
    pixels: int = 2**25
    # Workers hold a whole set in memory, and on the device too.
    packed_bytes: int = 8 * 2**30


class UnusableError(Exception):
    """The upload cannot become a data set; the message gives the cause and the remedy."""


class OnlyTextError(UnusableError):
    """The upload has no images, but files named like the parts of a text."""
