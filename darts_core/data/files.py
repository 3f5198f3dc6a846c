"""Decodes images on demand, for data sets that do not fit in memory.

Decoding runs on threads: Pillow releases the GIL. A decoded image depends only on its file and its own random numbers,
never on the thread or on prefetching.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final, Self

import torch
from PIL import Image
from torch import Tensor

from darts_core.data.decoding import read_image
from darts_core.data.resized_crops import resized_crop_box
from darts_core.errors import DataError

# The authors' test transform: scale the shorter side to 256 pixels, take the central 224.
_SCALED: Final = 256 / 224


class FileImages:
    """A lazy stand-in for a uint8 tensor (N, 3, size, size): indexing selects files without decoding them.

    `decoded` returns the pixels: the centre of each image, or a random crop after `with_crops`.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        size: int,
        *,
        device: torch.device | None = None,
        crops: Sequence[int] | None = None,
    ) -> None:
        """size: height and width in pixels. crops: the seed of each image's random crop."""
        self._paths, self._size, self._crops = paths, size, crops
        self.device = device or torch.device("cpu")
        self._started: list[Future[Tensor]] | None = None

    def __len__(self) -> int:
        return len(self._paths)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, 3, size, size)."""
        return len(self), 3, self._size, self._size

    def to(self, device: torch.device) -> Self:
        """The same files; `decoded` puts the pixels on this device."""
        return type(self)(self._paths, self._size, device=device, crops=self._crops)

    def __getitem__(self, which: slice | Tensor) -> Self:
        numbers = range(len(self))[which] if isinstance(which, slice) else which.tolist()
        crops = None if self._crops is None else [self._crops[i] for i in numbers]
        return type(self)([self._paths[i] for i in numbers], self._size, device=self.device, crops=crops)

    def with_crops(self, crops: Sequence[int]) -> Self:
        """Use a random crop of each image, scaled to size, drawn by one seed per image."""
        return type(self)(self._paths, self._size, device=self.device, crops=crops)

    def start(self) -> Self:
        """Start decoding in the background; `decoded` waits for the result."""
        if self._started is None:
            crops = [None] * len(self) if self._crops is None else self._crops
            pool = _threads()
            self._started = [
                pool.submit(_decode, path, self._size, crop) for path, crop in zip(self._paths, crops, strict=True)
            ]
        return self

    def decoded(self) -> Tensor:
        """Return uint8 (N, 3, size, size) on the device. Raises DataError that names the first file that cannot be
        decoded.
        """
        pending = self.start()._started
        assert pending is not None
        on_gpu = self.device.type == "cuda"
        # Pinned, so that the copy overlaps with the GPU's computation.
        out = torch.empty(self.shape, dtype=torch.uint8, pin_memory=on_gpu)
        for place, future in zip(out, pending, strict=True):
            place.copy_(future.result())
        return out.to(self.device, non_blocking=True)


Images = Tensor | FileImages
"""uint8 (N, channels, height, width), in memory or as undecoded files."""


def pixels(images: Images) -> Tensor:
    """Return the decoded bytes, decoding them first where necessary."""
    return images.decoded() if isinstance(images, FileImages) else images


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode")


def middle_of(image: Image.Image, size: int) -> Tensor:
    """Decode the central square of an image, (C, size, size), as the authors do for ImageNet's test images."""
    from torchvision.transforms import functional as transforms

    middle = transforms.center_crop(transforms.resize(image, round(size * _SCALED)), size)
    return transforms.pil_to_tensor(middle)  # type: ignore[no-any-return]


def _decode(path: Path, size: int, crop: int | None) -> Tensor:
    from torchvision.transforms import functional as transforms

    try:
        image = read_image(path)[0].convert("RGB")
    except DataError as error:
        raise DataError(f"{path} {error}") from error
    if crop is None:
        return middle_of(image, size)
    box = resized_crop_box(random.Random(crop), image.height, image.width)  # noqa: S311 - no secret
    return transforms.pil_to_tensor(transforms.resized_crop(image, *box, [size, size]))  # type: ignore[no-any-return]
