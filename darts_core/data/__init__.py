"""Data sets: what is known of them without opening them (catalogue), and their arrays. Imports torch on `load` only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from darts_core.training.stages import LOADING, stage

if TYPE_CHECKING:
    from darts_core.data.images import ImageData


@stage(LOADING)
def load(dataset: str, data_root: Path, checksum: str | None = None) -> ImageData:
    """Read a data set: a built-in one (downloaded into data_root when missing) or `folder:NAME` in it.

    checksum: of an uploaded set, which is read by it alone. Raises DataError that names the cause and the way out:
    unknown name, missing or broken files, no network.
    """
    from darts_core.data import digits, folders, imagenet, torchvision_sets, uploads
    from darts_core.data.catalogue import folder_of

    if checksum is not None:
        return uploads.read(checksum, data_root)
    name = folder_of(dataset)
    if name is not None:
        return folders.read(name, data_root)
    if dataset == "imagenet":
        return imagenet.read(data_root)
    return digits.read() if dataset == "digits" else torchvision_sets.read(dataset, data_root)
