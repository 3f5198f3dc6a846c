"""Colour jitter: brightness, contrast, saturation and hue, changed at random and in random order.

Batched on the images' device; the four operations match torchvision's `ColorJitter`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

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


def jittered(images: Tensor, jitters: Sequence[Jitter]) -> Tensor:
    """Apply each image's own jitter to uint8 images (N, 3, H, W). Grey ones (N, 1, H, W) skip saturation and hue."""
    out = images.to(torch.float32) / 255
    factors = torch.tensor([jitter.factors for jitter in jitters], device=images.device)
    order = torch.tensor([jitter.order for jitter in jitters])
    operations = _OPERATIONS if images.shape[1] == 3 else _OPERATIONS[:2]
    for place in range(4):
        for number, operation in enumerate(operations):
            chosen = (order[:, place] == number).nonzero().flatten().to(images.device)
            if len(chosen):
                out[chosen] = operation(out[chosen], factors[chosen, number][:, None, None, None])
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
    weights = torch.tensor(_LUMINANCE, device=images.device)[:, None, None]
    return (images * weights).sum(dim=1, keepdim=True)


def _blended(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return (factor * images + (1 - factor) * other).clamp(0, 1)


_OPERATIONS: Final[tuple[Callable[[Tensor, Tensor], Tensor], ...]] = (_brightness, _contrast, _saturation, _hue)
