"""Predicts raw images: pairs a network with its normalisation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from darts_core.data.decoding import plain_image, read_image
from darts_core.data.files import middle_of
from darts_core.errors import DataError

# A file, a Pillow image, or uint8 pixels: numpy (H, W), (H, W, C) or (N, H, W, C), torch (C, H, W) or
# (N, C, H, W), C being 1 or 3.
RawImage = str | PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor
RawImages = RawImage | Sequence[RawImage]


class RawNetwork(nn.Module):
    """A network with its normalisation, for exports: uint8 images (N, C, H, W) to logits."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) to logits (N, classes)."""
        return self.network((images.float() / 255 - self.mean) / self.std)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Prediction:
    """The prediction for one image. probabilities: by class, in the network's order; they sum to 1."""

    label: str
    probability: float
    probabilities: Mapping[str, float]


class Predictor(Protocol):
    """An image network with its own preprocessing."""

    classes: tuple[str, ...]
    image: Any

    def prepare(self, images: Tensor) -> Tensor:
        """Convert uint8 (N, C, H, W) to the network's input."""
        ...

    def __call__(self, images: Tensor) -> Tensor:
        """Logits (N, classes)."""
        ...


@torch.no_grad()
def predict(
    network: Predictor, images: RawImages, *, device: torch.device, as_imagenet: bool, batch_size: int
) -> list[Prediction]:
    """One prediction per image. as_imagenet: crop as ImageNet's test images. Raises DataError.

    Images of another size are scaled by their shorter side and centre-cropped, as in uploaded sets with a `size`.
    """
    channels, (height, width) = network.image["channels"], network.image["size"]
    raw = [_fitted(image, channels, (width, height), as_imagenet) for image in _each(images)]
    found: list[Prediction] = []
    for first in range(0, len(raw), batch_size):
        batch = torch.stack(raw[first : first + batch_size]).to(device)
        probabilities = network(network.prepare(batch)).double().softmax(dim=1).cpu()
        found += [_prediction(row, network.classes) for row in probabilities]
    return found


def _prediction(probabilities: Tensor, classes: tuple[str, ...]) -> Prediction:
    best = int(probabilities.argmax())
    by_class = dict(zip(classes, probabilities.tolist(), strict=True))
    return Prediction(classes[best], float(probabilities[best]), by_class)


def _each(images: RawImages) -> Iterator[Image.Image]:
    if isinstance(images, (str, PathLike)):
        yield _read(Path(images))
    elif isinstance(images, Image.Image):
        yield plain_image(images)[0]
    elif isinstance(images, (np.ndarray, Tensor)):
        yield from _of_pixels(images)
    else:
        for image in images:
            yield from _each(image)


def _read(path: Path) -> Image.Image:
    try:
        return read_image(path)[0]
    except DataError as error:
        raise DataError(f"{path} {error}") from error


def _of_pixels(pixels: np.ndarray[Any, Any] | Tensor) -> Iterator[Image.Image]:
    """Raises DataError unless the pixels are bytes: floats may be normalised already."""
    if isinstance(pixels, Tensor):
        # To numpy's order, channels last.
        pixels = (pixels.movedim(-3, -1) if pixels.ndim in (3, 4) else pixels).cpu().numpy()
    if pixels.dtype != np.uint8:
        raise DataError(f"raw images are of type uint8, 0 to 255, not {pixels.dtype}: they are normalised here")
    whole = pixels[None] if pixels.ndim in (2, 3) else pixels
    for image in whole:
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
            raise DataError(f"an image is (height, width) or (height, width, 1 or 3), not {tuple(pixels.shape)}")
        yield Image.fromarray(image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image)


def _fitted(image: Image.Image, channels: int, size: tuple[int, int], as_imagenet: bool) -> Tensor:
    """uint8 (channels, H, W). size: the network's width and height."""
    if channels not in (1, 3):
        raise DataError(f"this network takes images of {channels} channels: call it on prepared tensors instead")
    image = image.convert("L" if channels == 1 else "RGB")
    if as_imagenet:
        return middle_of(image, size[0])
    if image.size != size:
        image = ImageOps.fit(image, size, Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image).reshape(size[1], size[0], channels)).permute(2, 0, 1)
