"""What is known of a data set before anyone opens it. Imports no torch.

The API checks specs against this page; the arrays themselves are read by `darts_core.data.load` on a worker.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from darts_core.errors import DataError

FOLDER_PREFIX: Final = "folder:"
_FOLDER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class DatasetInfo:
    """Sizes of a built-in data set.

    image: height and width in pixels. channels: 1 for grey. train, test: images in each split.
    """

    name: str
    classes: int
    image: int
    channels: int
    train: int
    test: int
    preset: str


BUILT_IN: Final[dict[str, DatasetInfo]] = {
    # scikit-learn's 8x8 scans of handwritten digits: 1,797 images, a fixed stratified fifth of them for testing.
    "digits": DatasetInfo("digits", classes=10, image=8, channels=1, train=1437, test=360, preset="digits"),
    "cifar10": DatasetInfo("cifar10", classes=10, image=32, channels=3, train=50_000, test=10_000, preset="cifar10"),
}
FOLDER_PRESET: Final = "cifar10"


def folder_of(dataset: str) -> str | None:
    """The folder's name when `dataset` reads `folder:NAME`, None for a built-in name.

    The folder lies directly under the workers' data root and holds one folder a class. Raises DataError for a name
    that is neither: nothing that could lead outside the data root passes here.
    """
    if dataset in BUILT_IN:
        return None
    if dataset.startswith(FOLDER_PREFIX):
        name = dataset.removeprefix(FOLDER_PREFIX)
        if _FOLDER_NAME.fullmatch(name):
            return name
        raise DataError(
            f"{dataset!r}: a folder's name has up to 100 letters, digits, '.', '_' or '-' and starts with a letter "
            "or digit; it names a folder directly under the workers' data root"
        )
    known = ", ".join(BUILT_IN)
    raise DataError(f"unknown data set {dataset!r}; known: {known}, or folder:NAME for a folder of class folders")


def preset_of(dataset: str) -> str:
    """The preset that a spec on this data set starts from unless it names another."""
    info = BUILT_IN.get(dataset)
    return info.preset if info else FOLDER_PRESET
