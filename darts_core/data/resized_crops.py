"""Random resized crops, the ImageNet augmentation since Inception (arXiv:1409.4842)."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.data.host_copies import to_device

_AREAS: Final = (0.08, 1.0)
_RATIOS: Final = (3 / 4, 4 / 3)
_ATTEMPTS: Final = 10


class Box(NamedTuple):
    """A crop, in pixels."""

    top: int
    left: int
    height: int
    width: int


def resized_crop_box(source: random.Random, height: int, width: int) -> Box:
    """Draw a box of 8 to 100 % of the area and a ratio from 3:4 to 4:3, redrawn until it fits the image.

    After ten failed attempts: the largest centred box that the ratios allow.
    """
    for _ in range(_ATTEMPTS):
        area = height * width * source.uniform(*_AREAS)
        ratio = math.exp(source.uniform(math.log(_RATIOS[0]), math.log(_RATIOS[1])))
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            return Box(source.randint(0, height - down), source.randint(0, width - across), down, across)
    across, down = width, height
    if width / height < _RATIOS[0]:
        down = min(height, round(width / _RATIOS[0]))
    elif width / height > _RATIOS[1]:
        across = min(width, round(height * _RATIOS[1]))
    return Box((height - down) // 2, (width - across) // 2, down, across)


def crop_rows(sources: Sequence[random.Random], height: int, width: int) -> Tensor:
    """Draw a box for each of N images of this size: top, left, height and width, float32 (4, N), on the CPU."""
    return torch.tensor([resized_crop_box(source, height, width) for source in sources], dtype=torch.float32).T


def resized_crops(images: Tensor, sources: Sequence[random.Random]) -> Tensor:
    """Crop a random box of each uint8 image (N, C, H, W) and scale it bilinearly to the same shape, on its device."""
    return apply_crops(images, to_device(crop_rows(sources, images.shape[2], images.shape[3]), images.device))


def apply_crops(images: Tensor, rows: Tensor) -> Tensor:
    """`resized_crops` with the rows of `crop_rows` on the images' device."""
    count, _, height, width = images.shape
    top, left, down, across = rows.unbind()
    # The sampling grid spans -1..1 over the whole image.
    transform = torch.zeros(count, 2, 3, device=images.device)
    transform[:, 0, 0], transform[:, 0, 2] = across / width, (2 * left + across) / width - 1
    transform[:, 1, 1], transform[:, 1, 2] = down / height, (2 * top + down) / height - 1
    grid = F.affine_grid(transform, list(images.shape), align_corners=False)
    scaled = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return scaled.round().to(torch.uint8)
