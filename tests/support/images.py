"""Images of a data set: those that are held in memory, and files laid out as ImageNet's."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from torch import Tensor

from darts_core.data.files import FileImages

IMAGENET_CLASSES: Final = ("n01440764", "n01443537")


def draw_imagenet(data_root: Path) -> None:
    """Two classes of JPEGs of many sizes, colour and grey, six for training and two for testing each."""
    noise = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 2)):
        for shade, name in enumerate(IMAGENET_CLASSES):
            folder = data_root / "imagenet" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = noise.integers(100 * shade, 100 * shade + 120, (200 + 31 * i, 260 - 17 * i, 3), dtype=np.uint8)
                image = Image.fromarray(pixels)
                (image.convert("L") if i == 1 else image).save(folder / f"{i}.JPEG")


def in_memory(images: Tensor | FileImages) -> Tensor:
    """The images, which are not read file by file."""
    assert isinstance(images, Tensor)
    return images
