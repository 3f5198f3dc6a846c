"""Lists the published data sets present under a data root. Opens no file; imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from darts_core.data.catalogue import BUILT_IN
from darts_core.data.text.catalogue import PYTHON_DOCS, TEXT_SETS

# Shipped with packages that every worker has.
SHIPPED: Final = frozenset({"digits", PYTHON_DOCS})
# Paths under the data root where torchvision and our own readers look.
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


def files_of(name: str) -> list[str] | None:
    """List the files or folders of a published set by their paths under a data root; None for a set that needs none."""
    return _FILES.get(name)


def held_sets(data_root: Path) -> list[str]:
    """List, in alphabetical order, the published sets that can be read from this data root without a download."""
    found = {name for name, files in _FILES.items() if all((data_root / file).exists() for file in files)}
    return sorted(found | SHIPPED)
