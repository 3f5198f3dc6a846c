"""Decodes images with torchvision: on the CPU, or on a GPU by nvJPEG.

Torchvision decodes upright JPEGs of grey or RGB; Pillow decodes all other files (PNG, CMYK, 16-bit grey, turned by
EXIF, ...) by the rules of `darts_core.data.decoding`. Both are then scaled by torch, bilinearly with antialiasing.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.data.decoding import is_plain_jpeg, opened, plain_image
from darts_core.data.resized_crops import resized_crop_box
from darts_core.errors import DataError

# The authors' test transform: scale the shorter side to 256 pixels, take the central 224.
_SCALED: Final = 256 / 224


def side_to_cut(size: int) -> int:
    """The length in pixels to which the shorter side is scaled before the central square of this size is cut out."""
    return round(size * _SCALED)


def encoded(path: Path) -> Tensor:
    """Read a file: the bytes (N,) of a JPEG that torchvision decodes, else the pixels (3, H, W); uint8, on the CPU.

    Raises DataError that names the file.
    """
    try:
        with opened(path) as image:
            if is_plain_jpeg(image):
                return torch.from_numpy(np.fromfile(path, np.uint8))
            plain, _ = plain_image(image)
            return torch.from_numpy(np.array(plain.convert("RGB"))).permute(2, 0, 1)
    except DataError as error:
        raise DataError(f"{path} {error}") from error


def decoded(paths: Sequence[Path], files: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Decode what `encoded` read of these paths: uint8 (3, H, W) each, on the device.

    Raises DataError that names the first file that cannot be decoded.
    """
    from torchvision.io import ImageReadMode, decode_jpeg

    jpegs = [file for file in files if file.ndim == 1]
    try:
        images = iter(decode_jpeg(jpegs, ImageReadMode.RGB, device) if jpegs else [])
    except RuntimeError as error:
        if len(files) == 1:
            raise DataError(f"{paths[0]} cannot be decoded as an image ({error}); replace or remove it") from error
        for path, file in zip(paths, files, strict=True):
            decoded([path], [file], device)
        raise
    return [next(images) if file.ndim == 1 else file.to(device) for file in files]


def fitted(pixels: Tensor, size: int, crop: int | None) -> Tensor:
    """Scale uint8 (3, H, W) to (3, size, size): a random crop, drawn by the seed `crop`, or the central square."""
    from torchvision.transforms import functional as transforms

    height, width = pixels.shape[1:]
    if crop is not None:
        box = resized_crop_box(random.Random(crop), height, width)  # noqa: S311 - no secret
        part = pixels[:, box.top : box.top + box.height, box.left : box.left + box.width]
        return _scaled(part, (size, size))
    short, side = min(height, width), side_to_cut(size)
    scaled = _scaled(pixels, (side * height // short, side * width // short))
    return transforms.center_crop(scaled, [size, size])  # type: ignore[no-any-return]


def decoded_on_gpu(
    paths: Sequence[Path],
    files: Sequence[Tensor],
    size: int,
    crops: Sequence[int | None],
    device: torch.device,
) -> Tensor:
    """Decode and scale what `encoded` read: uint8 (N, 3, size, size), ready for the current stream. Raises DataError.

    Works on a stream of its own, beside the steps that are queued.
    """
    stream, current = _stream(device), torch.cuda.current_stream(device)
    # nvJPEG writes on a stream that does not wait for earlier readers of the memory that it is given.
    stream.synchronize()
    with torch.cuda.stream(stream):
        images = decoded(paths, files, device)
        out = torch.stack([fitted(image, size, crop) for image, crop in zip(images, crops, strict=True)])
    current.wait_stream(stream)
    out.record_stream(current)
    return out


def _scaled(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    if pixels.device.type == "cuda":  # which has no antialiased scaling of bytes
        return _interpolated(pixels.float(), size).round_().to(torch.uint8)
    # By numpy, on this thread alone: torch would share the copy of a crop among threads of its own.
    rows = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
    return _interpolated(torch.from_numpy(rows).permute(2, 0, 1), size)


def _interpolated(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(pixels[None], size, mode="bilinear", antialias=True, align_corners=False)[0]


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
