"""Colour jitter: brightness, contrast, saturation and hue, changed at random and in random order.

Batched on the images' device; the four operations match torchvision's `ColorJitter`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final, NamedTuple

import torch
from torch import Tensor

from darts_core.data.host_copies import to_device

# ITU-R 601-2 luma weights, as in Pillow and torchvision.
_LUMINANCE: Final = (0.2989, 0.587, 0.114)


class Jitter(NamedTuple):
    """Factors for each image (for hue: the shift in turns), and the order of the four operations."""

    factors: tuple[float, float, float, float]
    order: tuple[int, int, int, int]


def draw_jitter(source: random.Random, strength: Sequence[float]) -> Jitter:
    """strength: of brightness, contrast, saturation (factors from 1 - s to 1 + s) and hue (from -s to s turns)."""
    brightness, contrast, saturation, hue = strength
    factors = [source.uniform(max(0.0, 1 - s), 1 + s) for s in (brightness, contrast, saturation)]
    first, second, third, fourth = source.sample(range(4), 4)
    return Jitter((*factors, source.uniform(-hue, hue)), (first, second, third, fourth))  # type: ignore[arg-type]


def jitter_rows(jitters: Sequence[Jitter]) -> Tensor:
    """Factors and order of N jitters for `apply_jitter`: float32 (8, N), on the CPU.

    Rows 0 to 3 hold the factors of each image. Row 4 + p holds the numbers of the images, those with the same operation
    at place p together.
    """
    factors = torch.tensor([jitter.factors for jitter in jitters]).T
    orders = torch.tensor([jitter.order for jitter in jitters]).T
    return torch.cat([factors, orders.argsort(dim=1, stable=True).to(torch.float32)])


def jittered(images: Tensor, jitters: Sequence[Jitter]) -> Tensor:
    """Apply each image's own jitter to uint8 images (N, 3, H, W). Grey ones (N, 1, H, W) skip saturation and hue."""
    return apply_jitter(images, jitters, to_device(jitter_rows(jitters), images.device))


def apply_jitter(images: Tensor, jitters: Sequence[Jitter], rows: Tensor) -> Tensor:
    """`jittered` with the rows of `jitter_rows` on the images' device; nothing waits for the device.

    jitters: on the host, which knows from them how many images take an operation.
    """
    out = images.to(torch.float32) / 255
    operations = _OPERATIONS if images.shape[1] == 3 else _OPERATIONS[:2]
    groups = rows[4:].long()
    for place in range(4):
        counts = Counter(jitter.order[place] for jitter in jitters)
        end = 0
        for number in range(4):
            first, end = end, end + counts[number]
            if first == end or number >= len(operations):
                continue
            chosen = groups[place, first:end]
            out[chosen] = operations[number](out[chosen], rows[number, chosen][:, None, None, None])
    return (out * 255).round().to(torch.uint8)


def _brightness(images: Tensor, factor: Tensor) -> Tensor:
    return (images * factor).clamp(0, 1)


def _contrast(images: Tensor, factor: Tensor) -> Tensor:
    return _blended(images, _grey(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def _saturation(images: Tensor, factor: Tensor) -> Tensor:
    return _blended(images, _grey(images), factor)


def _hue(images: Tensor, turns: Tensor) -> Tensor:
    high, low = images.amax(dim=1, keepdim=True), images.amin(dim=1, keepdim=True)
    red, green, blue = images[:, 0:1], images[:, 1:2], images[:, 2:3]
    span = high - low
    # Grey pixels have no hue; any value works, since their span is 0.
    divisor = torch.where(span == 0, 1.0, span)
    sixths = torch.where(
        red == high,
        (green - blue) / divisor,
        torch.where(green == high, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    sixths = sixths + 6 * turns
    # Each channel is a trapezoid over the hue circle, offset by a third of a turn.
    rises = torch.cat([(sixths + shift) % 6 for shift in (5.0, 3.0, 1.0)], dim=1)
    return high - span * torch.minimum(rises, 4 - rises).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return images
    return (images * _luminance(images.device)).sum(dim=1, keepdim=True)


@cache
def _luminance(device: torch.device) -> Tensor:
    """The luma weights on a device, which takes them once."""
    return torch.tensor(_LUMINANCE, device=device)[:, None, None]


def _blended(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return (factor * images + (1 - factor) * other).clamp(0, 1)


_OPERATIONS: Final[tuple[Callable[[Tensor, Tensor], Tensor], ...]] = (_brightness, _contrast, _saturation, _hue)
