"""Random crop, horizontal flip and cutout (arXiv:1708.04552), batched on the images' device.

An image's augmentation depends only on (seed, pass, index): all draws of a pass are made on the CPU in one go and then
indexed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.data.host_copies import to_device
from darts_core.data.order import generator


@dataclass(frozen=True)
class Augmentation:
    """Augmentation settings.

    `crop_padding`: zero pixels added on each side before cropping back to size. `cutout`: side of the square in pixels,
    0 for none; its centre lies in the image, so the square may be clipped. `resized_crop`: first crop a random region
    and scale it to full size. `colour_jitter`: strength of brightness, contrast, saturation and hue, all 0 for none.
    """

    crop_padding: int
    flip: bool
    cutout: int
    resized_crop: bool = False
    colour_jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Draws:
    """Draws for N images, each tensor (N,): crop offsets and cutout centre in pixels, whether to flip, and a number in
    [0, 1): cutout of a larger probability is applied.
    """

    top: Tensor
    left: Tensor
    flip: Tensor
    centre_y: Tensor
    centre_x: Tensor
    chance: Tensor

    def of(self, indices: Tensor) -> Draws:
        """Select images by index."""
        return Draws(*(values[indices] for values in vars(self).values()))


def draw(
    augmentation: Augmentation, count: int, size: tuple[int, int], seed: int, *purpose: str | int, device: torch.device
) -> Draws:
    """Draw for all `count` images of a pass. The number of draws does not depend on the settings."""
    source = generator(seed, "augmentation", *purpose)

    def whole(below: int) -> Tensor:
        return to_device(torch.randint(below, (count,), generator=source), device)

    offsets = 2 * augmentation.crop_padding + 1
    places = whole(offsets), whole(offsets), whole(2).bool(), whole(size[0]), whole(size[1])
    return Draws(*places, to_device(torch.rand(count, generator=source), device))


def cropped(images: Tensor, draws: Draws, augmentation: Augmentation) -> Tensor:
    """Crop the padded images and flip some of them: (N, C, H, W) to the same shape and dtype."""
    padding = augmentation.crop_padding
    if padding == 0 and not augmentation.flip:
        return images
    height, width = images.shape[-2:]
    rows = draws.top[:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(len(images), width)
    if augmentation.flip:
        columns = torch.where(draws.flip[:, None], width - 1 - columns, columns)
    columns = draws.left[:, None] + columns
    padded = F.pad(images, (padding, padding, padding, padding))
    sample = torch.arange(len(images), device=images.device)[:, None, None]
    # Advanced indices around a slice put the slice last: (N, H, W, C).
    return padded[sample, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cut_out(images: Tensor, draws: Draws, augmentation: Augmentation, probability: float = 1.0) -> Tensor:
    """Set a square of each normalised image (N, C, H, W) to 0, the mean, with this probability."""
    side = augmentation.cutout
    if side == 0 or probability == 0:
        return images
    inside_y = _within(draws.centre_y, side, images.shape[2])
    if probability < 1:
        inside_y &= (draws.chance < probability)[:, None]
    inside_x = _within(draws.centre_x, side, images.shape[3])
    return images.masked_fill((inside_y[:, :, None] & inside_x[:, None, :])[:, None], 0.0)


def _within(centre: Tensor, side: int, length: int) -> Tensor:
    position = torch.arange(length, device=centre.device)
    first = centre[:, None] - side // 2
    return (position >= first) & (position < first + side)
