"""One image file to bytes. Imports no torch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from darts_core.errors import DataError

Pixels = npt.NDArray[np.uint8]

SUFFIXES: Final = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
# Pillow knows formats that start other programs, and many that nobody keeps images for training in.
_FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_GREY_MODES: Final = frozenset({"1", "L", "LA"})
_COLOUR_MODES: Final = frozenset({"RGB", "RGBA", "P", "CMYK", "YCbCr", "HSV", "LAB"})


def decode(source: Path | BinaryIO, *, size: int | None = None, most_pixels: int | None = None) -> Pixels:
    """An image as uint8 (H, W, C), with one channel when it is grey and three when it has colours.

    size: scale it to so many pixels a side, cut to a square around its middle. most_pixels: what its header may declare
    before anything is decoded. Raises DataError, which leaves it to the caller to name the file.
    """
    try:
        with warnings.catch_warnings():
            # Of images that declare many pixels: `most_pixels` says how many are too many.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(source, formats=_FORMATS) as image:
                return _pixels(image, size, most_pixels)
    except DataError:
        raise
    # What a damaged file makes Pillow raise depends on the format: anything.
    except Exception as error:
        raise DataError(f"cannot be decoded as an image ({error}); replace or remove it") from error


def _pixels(image: Image.Image, size: int | None, most_pixels: int | None) -> Pixels:
    if most_pixels is not None and image.width * image.height > most_pixels:
        raise DataError(f"declares {image.width}x{image.height} pixels, more than {most_pixels:,}; scale it down")
    if image.mode not in _GREY_MODES | _COLOUR_MODES:
        raise DataError(f"has pixels of mode {image.mode}; save it with 8 bits a channel")
    plain = image.convert("L" if image.mode in _GREY_MODES else "RGB")
    if size is not None and plain.size != (size, size):
        plain = ImageOps.fit(plain, (size, size), Image.Resampling.BILINEAR)
    array = np.asarray(plain)
    return array[:, :, None] if array.ndim == 2 else array
