"""Numbers the classes and splits images into three parts, holding missing parts out of the training images."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from api.datasets.archive_limits import UnusableError
from api.datasets.images import Placed
from api.datasets.report import Report
from api.datasets.spool import SpooledImage
from darts_core.data.held_out import TEST_SHARE, VALID_SHARE, held_out_indices
from darts_core.data.packed import PARTS
from darts_core.printable import printable

_SHARES: Final = {"test": TEST_SHARE, "valid": VALID_SHARE}
# A search trains weights on one half and alphas on the other, in batches of at least two images.
LEAST_TRAINING: Final = 4
_WARNED_CLASSES: Final = 10

_Pairs = list[tuple[int, SpooledImage]]


@dataclass(frozen=True)
class Part:
    """The images of one part in stored order, and their labels."""

    images: list[SpooledImage]
    labels: list[int]


def split(images: Placed, report: Report) -> tuple[tuple[str, ...], dict[str, Part], list[str]]:
    """The classes, the images of each part, and the names of the held-out parts.

    The split depends on the images' content only, not on their names or order. Raises UnusableError for a single class,
    for classes that the training part lacks, or for too few images.
    """
    classes = sorted({place.label for _, place in images if place.part == "train"})
    if not classes:
        raise UnusableError("there is no training part: name one train, or upload all images unsplit")
    if len(classes) < 2:
        raise UnusableError(f"there is only one class, {printable(classes[0])!r}: add a second")
    numbers = {name: number for number, name in enumerate(classes)}
    parts: dict[str, _Pairs] = {part: [] for part in PARTS}
    for image, place in images:
        if place.label not in numbers:
            raise UnusableError(
                f"the {place.part} part has a class {printable(place.label)!r} that the training part lacks: add it "
                "there or remove it"
            )
        parts[place.part].append((numbers[place.label], image))
    for part in PARTS:
        parts[part].sort(key=lambda pair: (pair[0], pair[1].digest))
    missing = [part for part in ("test", "valid") if not parts[part]]
    for part in missing:
        parts["train"], parts[part] = _held_out(parts["train"], part)
    if len(parts["train"]) < LEAST_TRAINING:
        raise UnusableError(
            f"there are too few images: {len(parts['train'])} are left to train on, at least {LEAST_TRAINING} are "
            "needed; add some"
        )
    shown = tuple(map(printable, classes))
    if len(set(shown)) < len(shown):
        raise UnusableError("two classes have names that differ only in characters that cannot be shown: rename one")
    _warn_of_small_classes(parts["train"], shown, report)
    return shown, {part: Part([i for _, i in pairs], [n for n, _ in pairs]) for part, pairs in parts.items()}, missing


def _held_out(pairs: _Pairs, part: str) -> tuple[_Pairs, _Pairs]:
    wanted = max(1, round(_SHARES[part] * len(pairs)))
    chosen = set(held_out_indices([n for n, _ in pairs], [image.digest for _, image in pairs], wanted))
    if not chosen:
        raise UnusableError(f"there are too few images to hold any out for the {part} part: add some")
    return [p for i, p in enumerate(pairs) if i not in chosen], [p for i, p in enumerate(pairs) if i in chosen]


def _warn_of_small_classes(train: _Pairs, classes: tuple[str, ...], report: Report) -> None:
    counts = Counter(number for number, _ in train)
    alone = [name for number, name in enumerate(classes) if counts[number] == 1]
    for name in alone[:_WARNED_CLASSES]:
        report.warn(f"the class {name} has a single training image: add some, or leave the class out")
    if len(alone) > _WARNED_CLASSES:
        report.warn(f"{len(alone) - _WARNED_CLASSES:,} more classes have a single training image")
