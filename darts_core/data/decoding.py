"""Decodes image files by one set of rules for uploads, `folder:` sets and sets read file by file. Imports no torch.

EXIF orientation is applied; transparent pixels are composited on white; 16-bit grey is scaled from 0..65535 to 0..255.
Only the first frame of an animation is read.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from darts_core.errors import DataError

Pixels = npt.NDArray[np.uint8]

SUFFIXES: Final = frozenset(
    {".apng", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm"}
    | {".tif", ".tiff", ".webp"}
)
# Pillow also has formats that start other programs, and many that no training set uses.
_FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_GREY_MODES: Final = frozenset({"1", "L", "LA"})
_COLOUR_MODES: Final = frozenset({"RGB", "RGBA", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB"})
_DEEP_MODES: Final = frozenset({"I;16", "I;16B", "I;16L", "I;16N"})
_OBJECT: Final = re.compile(r"<[^<>]* object at 0x[0-9a-f]+>")

TURNED: Final = "turned by the EXIF orientation"
ON_WHITE: Final = "with transparent pixels laid on white"
SCALED_DEPTH: Final = "scaled from 16 bits to 8"


def is_image_name(name: str) -> bool:
    """Whether the name has one of `SUFFIXES` and is not hidden."""
    return os.path.splitext(name)[1].lower() in SUFFIXES and not name.startswith(".")


class Decoded(NamedTuple):
    """An image as bytes (H, W, C), C being 1 for grey and 3 for colour, and the conversions applied to the file's
    pixels.
    """

    pixels: Pixels
    changes: tuple[str, ...]


def decode(source: Path | BinaryIO, *, size: int | None = None, most_pixels: int | None = None) -> Decoded:
    """Decode an image file. Raises DataError; the caller adds the file's name.

    size: scale and centre-crop to a square of this side. most_pixels: limit on the size that the header declares,
    checked before decoding.
    """
    image, changes = read_image(source, most_pixels=most_pixels)
    return Decoded(_array(image if size is None else _squared(image, size)), changes)


def squared(pixels: Pixels, size: int) -> Pixels:
    """Scale and centre-crop pixels (H, W, C) to (size, size, C)."""
    return _array(_squared(Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels), size))


def read_image(source: Path | BinaryIO, *, most_pixels: int | None = None) -> tuple[Image.Image, tuple[str, ...]]:
    """Decode an image upright in mode L or RGB; also return the conversions applied. Raises DataError like `decode`."""
    with opened(source) as image:
        return plain_image(image, most_pixels)


@contextmanager
def opened(source: Path | BinaryIO) -> Iterator[Image.Image]:
    """Read an image file's header. Raises DataError, also for an error of the block that decodes the image."""
    try:
        with warnings.catch_warnings():
            # Pillow's own limit on declared pixels; `most_pixels` replaces it.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(source, formats=_FORMATS) as image:
                yield image
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"cannot be decoded as an image (it is in none of {', '.join(_FORMATS)})") from error
    except FileNotFoundError as error:
        raise DataError("does not exist") from error
    # Pillow raises any exception on a damaged file, depending on the format.
    except Exception as error:
        raise DataError(
            f"cannot be decoded as an image ({_OBJECT.sub('the file', str(error))}); replace or remove it"
        ) from error


def plain_image(image: Image.Image, most_pixels: int | None = None) -> tuple[Image.Image, tuple[str, ...]]:
    """Convert an opened image to upright L or RGB; also return the conversions applied. Raises DataError."""
    if most_pixels is not None and image.width * image.height > most_pixels:
        raise DataError(f"declares {image.width}x{image.height} pixels, more than {most_pixels:,}; scale it down")
    # Pillow gives PGM of more than 8 bits as 32-bit integers, scaled to 0..65535.
    deep = image.mode in _DEEP_MODES or (image.mode == "I" and image.format == "PPM")
    if not deep and image.mode not in _GREY_MODES | _COLOUR_MODES:
        raise DataError(f"has pixels of mode {image.mode}; save it with 8 bits a channel, or as 16-bit grey")
    image.load()
    changes = []
    if _is_turned(image):
        image = ImageOps.exif_transpose(image)
        changes.append(TURNED)
    if deep:
        return _to_8_bits(image), (*changes, SCALED_DEPTH)
    mode = "L" if image.mode in _GREY_MODES else "RGB"
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        if layer.getchannel("A").getextrema() != (255, 255):
            image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
            changes.append(ON_WHITE)
    return image.convert(mode), tuple(changes)


def is_plain_jpeg(image: Image.Image) -> bool:
    """Whether an opened image is a JPEG of grey or RGB that lies upright, which any decoder gives alike."""
    return image.format == "JPEG" and image.mode in ("L", "RGB") and not _is_turned(image)


def _is_turned(image: Image.Image) -> bool:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)
    except Exception:  # Pillow raises any exception on damaged EXIF; the pixels are fine
        return False


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits, rounded: 65535 = 255 * 257."""
    values = np.asarray(image).astype(np.int64)
    return Image.fromarray(((values + 128) // 257).clip(0, 255).astype(np.uint8))


def _squared(image: Image.Image, size: int) -> Image.Image:
    return image if image.size == (size, size) else ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)


def _array(image: Image.Image) -> Pixels:
    array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array
