"""Loads data sets by name. `load` imports torch; `darts_core.data.catalogue` describes the sets without it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from darts_core.training.stages import LOADING, stage

if TYPE_CHECKING:
    from darts_core.configs.decoder import DecoderName
    from darts_core.data.images import ImageData


@stage(LOADING)
def load(dataset: str, data_root: Path, checksum: str | None = None, decoder: DecoderName = "pillow") -> ImageData:
    """Load a built-in set, downloaded into `data_root` when missing, or the class folders of `folder:NAME`.

    checksum: of an uploaded set, which is found by it alone. decoder: of a set that is read file by file. Raises
    DataError for an unknown name, missing or broken files, or no network; the message says how to fix it.
    """
    from darts_core.data import digits, folders, imagenet, torchvision_sets, uploads
    from darts_core.data.catalogue import folder_of

    if checksum is not None:
        return uploads.read(checksum, data_root)
    name = folder_of(dataset)
    if name is not None:
        return folders.read(name, data_root)
    if dataset == "imagenet":
        return imagenet.read(data_root, decoder)
    return digits.read() if dataset == "digits" else torchvision_sets.read(dataset, data_root)
