"""Which published data sets lie under a data root. Opens no file, and imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from darts_core.data.catalogue import BUILT_IN
from darts_core.data.text.catalogue import PYTHON_DOCS, TEXT_SETS

# They come with the packages that a worker needs anyway.
SHIPPED: Final = frozenset({"digits", PYTHON_DOCS})
# Files and folders under the data root, as torchvision and our own readers look for them.
_CIFAR10: Final = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]
_FASHION: Final = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
_FILES: Final[dict[str, list[str]]] = {
    "cifar10": [f"cifar-10-batches-py/{name}" for name in _CIFAR10],
    "cifar100": [f"cifar-100-python/{name}" for name in ("train", "test", "meta")],
    "fashion-mnist": [f"FashionMNIST/raw/{name}" for name in _FASHION],
    "imagenet": ["imagenet/train", "imagenet/val"],
    **{name: [name] for name in TEXT_SETS},
}
DOWNLOADED: Final = frozenset({"cifar10", "cifar100", "fashion-mnist"})
PUBLISHED: Final = (*BUILT_IN, PYTHON_DOCS, *TEXT_SETS)


def held_sets(data_root: Path) -> list[str]:
    """The published sets that a worker with this data root can read without a download, in alphabetical order."""
    found = {name for name, files in _FILES.items() if all((data_root / file).exists() for file in files)}
    return sorted(found | SHIPPED)
