"""Decodes images on demand, for data sets that do not fit in memory.

Decoding runs on threads: Pillow, torchvision and torch release the GIL. A decoded image depends only on its file, the
decoder and its own random numbers, never on the thread or on prefetching.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from darts_core.configs.decoder import CpuDecoder, DecoderName
from darts_core.data.decoding import read_image
from darts_core.data.jpegs import decoded, decoded_on_gpu, encoded, fitted, side_to_cut
from darts_core.data.resized_crops import resized_crop_box
from darts_core.errors import DataError


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
        decoder: DecoderName = "pillow",
    ) -> None:
        """size: height and width in pixels. crops: the seed of each image's random crop."""
        self._paths, self._size, self._crops, self._decoder = paths, size, crops, decoder
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
        return self._of(self._paths, self._crops, device)

    def __getitem__(self, which: slice | Tensor) -> Self:
        numbers = range(len(self))[which] if isinstance(which, slice) else which.tolist()
        crops = None if self._crops is None else [self._crops[i] for i in numbers]
        return self._of([self._paths[i] for i in numbers], crops, self.device)

    def with_crops(self, crops: Sequence[int]) -> Self:
        """Use a random crop of each image, scaled to size, drawn by one seed per image."""
        return self._of(self._paths, crops, self.device)

    def _of(self, paths: Sequence[Path], crops: Sequence[int] | None, device: torch.device) -> Self:
        return type(self)(paths, self._size, device=device, crops=crops, decoder=self._decoder)

    def start(self) -> Self:
        """Start decoding in the background; `decoded` waits for the result. nvJPEG's files are only read."""
        if self._started is None:
            submit = _threads().submit
            if self._decoder == "nvjpeg":
                self._started = [submit(encoded, path) for path in self._paths]
            else:
                self._started = [
                    submit(decode_file, path, seed, size=self._size, decoder=self._decoder)
                    for path, seed in zip(self._paths, self._seeds(), strict=True)
                ]
        return self

    def decoded(self) -> Tensor:
        """Return uint8 (N, 3, size, size) on the device. Raises DataError that names the first file that cannot be
        decoded.
        """
        pending = self.start()._started
        assert pending is not None
        if self._decoder == "nvjpeg":
            files = [future.result() for future in pending]
            return decoded_on_gpu(self._paths, files, self._size, self._seeds(), self.device)
        on_gpu = self.device.type == "cuda"
        # Pinned, so that the copy overlaps with the GPU's computation.
        out = torch.empty(self.shape, dtype=torch.uint8, pin_memory=on_gpu)
        for place, future in zip(out, pending, strict=True):
            place.copy_(future.result())
        return out.to(self.device, non_blocking=True)

    def _seeds(self) -> Sequence[int | None]:
        return [None] * len(self) if self._crops is None else self._crops


Images = Tensor | FileImages
"""uint8 (N, channels, height, width), in memory or as undecoded files."""


def pixels(images: Images) -> Tensor:
    """Return the decoded bytes, decoding them first where necessary."""
    return images.decoded() if isinstance(images, FileImages) else images


def in_parts(images: Images, parts: Iterable[slice]) -> Iterator[Images]:
    """Select each part in turn; files of the next one are decoded while the caller computes."""
    selected = (images[part] for part in parts)
    ahead = next(selected, None)
    while ahead is not None:
        current, ahead = ahead, next(selected, None)
        for files in (current, ahead):
            if isinstance(files, FileImages):
                files.start()
        yield current


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="decode")


def middle_of(image: Image.Image, size: int) -> Tensor:
    """Decode the central square of an image, (C, size, size), as the authors do for ImageNet's test images."""
    from torchvision.transforms import functional as transforms

    middle = transforms.center_crop(transforms.resize(image, side_to_cut(size)), size)
    return transforms.pil_to_tensor(middle)  # type: ignore[no-any-return]


def decode_file(path: Path, crop: int | None, *, size: int, decoder: CpuDecoder) -> Tensor:
    """Decode one file on the CPU, uint8 (3, size, size). crop: the seed of a random crop; None for the central square.

    Raises DataError that names the file.
    """
    if decoder == "pillow":
        image = _with_pillow(path, size, crop)
    else:
        [whole] = decoded([path], [encoded(path)], torch.device("cpu"))
        image = fitted(whole, size, crop)
    # By numpy, on this thread alone: torch would share the copy among threads of its own.
    return torch.from_numpy(np.ascontiguousarray(image.numpy()))


def _with_pillow(path: Path, size: int, crop: int | None) -> Tensor:
    from torchvision.transforms import functional as transforms

    try:
        image = read_image(path)[0].convert("RGB")
    except DataError as error:
        raise DataError(f"{path} {error}") from error
    if crop is None:
        return middle_of(image, size)
    box = resized_crop_box(random.Random(crop), image.height, image.width)  # noqa: S311 - no secret
    return transforms.pil_to_tensor(transforms.resized_crop(image, *box, [size, size]))  # type: ignore[no-any-return]
