"""Describes the built-in data sets. Imports no torch.

The API validates specs against this catalogue; a worker reads the arrays with `darts_core.data.load`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from darts_core.errors import DataError
from darts_core.validation import did_you_mean

FOLDER_PREFIX: Final = "folder:"
FOLDER_PRESET: Final = "cifar10"
NAME_RULE: Final = "up to 100 letters, digits, '.', '_' or '-', the first one a letter or digit"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class DatasetInfo:
    """Sizes of a data set.

    height, width: in pixels. channels: 1 for grey. train, valid, test: images in each part; `valid` is 0 where a run
    holds out training images instead. checksum: of an uploaded set's content; None for a built-in set.
    """

    name: str
    classes: int
    height: int
    width: int
    channels: int
    train: int
    test: int
    valid: int = 0
    preset: str = FOLDER_PRESET
    checksum: str | None = None

    @property
    def side(self) -> int:
        """The shorter side in pixels."""
        return min(self.height, self.width)


def _square(
    name: str, *, classes: int, side: int, channels: int, train: int, test: int, preset: str = FOLDER_PRESET
) -> DatasetInfo:
    return DatasetInfo(name, classes, side, side, channels, train, test, preset=preset)


BUILT_IN: Final[dict[str, DatasetInfo]] = {
    info.name: info
    for info in (
        # scikit-learn's 8x8 scans of handwritten digits: 1,797 images; a fixed, stratified fifth of them is the test
        # part.
        _square("digits", classes=10, side=8, channels=1, train=1437, test=360, preset="digits"),
        _square("cifar10", classes=10, side=32, channels=3, train=50_000, test=10_000, preset="cifar10"),
        _square("cifar100", classes=100, side=32, channels=3, train=50_000, test=10_000),
        _square("fashion-mnist", classes=10, side=28, channels=1, train=60_000, test=10_000),
        # Read from files, scaled to this size.
        _square("imagenet", classes=1000, side=224, channels=3, train=1_281_167, test=50_000, preset="imagenet"),
    )
}


def is_plain_name(name: str) -> bool:
    """Whether a folder or an uploaded set may have this name. Such a name is safe as one component of a path."""
    return _NAME.fullmatch(name) is not None


def folder_of(dataset: str) -> str | None:
    """Return NAME of `folder:NAME`, None for a built-in name.

    The folder lies directly under the workers' data root and holds one folder per class. Raises DataError for any other
    name, including one that could lead outside the data root.
    """
    if dataset in BUILT_IN:
        return None
    if dataset.startswith(FOLDER_PREFIX):
        return folder_named_by(dataset)
    known = ", ".join(BUILT_IN)
    meant = did_you_mean(dataset, BUILT_IN)
    raise DataError(
        f"unknown data set {dataset!r}{meant}; known: {known}, or folder:NAME for a folder of class folders"
    )


def folder_named_by(dataset: str) -> str:
    """Return NAME of `folder:NAME`. Raises DataError when it could lead outside the data root."""
    name = dataset.removeprefix(FOLDER_PREFIX)
    if not is_plain_name(name):
        raise DataError(
            f"{dataset!r}: a folder's name has {NAME_RULE}; it names a folder directly under the workers' data root"
        )
    return name


def upload_path(data_root: Path, checksum: str) -> Path:
    """Path of an uploaded set's packed file."""
    return data_root / "uploads" / f"{checksum}.safetensors"


def preset_of(dataset: str, presets: Collection[str]) -> str:
    """The preset that a spec on this data set starts from unless it names another."""
    info = BUILT_IN.get(dataset)
    return info.preset if info and info.preset in presets else FOLDER_PRESET
