"""Assigns images to parts and classes by their paths: `[root/]class/*` or `[root/]{train,valid,test}/class/*`.

The root is the folder below which most images have a class. An `images` folder inside every class folder, as in
tiny-imagenet, is skipped.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from api.datasets.archive_limits import UnusableError
from darts_core.data.part_names import check_part_folders, check_unknown_folders, class_name, part_of
from darts_core.errors import DataError
from darts_core.printable import printable

_EXPECTED: Final = "expected [root/]class/image or [root/]{train,valid,test}/class/image"
_WRONG_DEPTH: Final = f"lies at the wrong depth; {_EXPECTED}"
# A second root with this share of the best root's images is not just a few misplaced files.
_RIVAL_SHARE: Final = 0.1

Folder = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """The part and class of an image. part: train, valid or test."""

    part: str
    label: str


@dataclass(frozen=True)
class _Root:
    """A folder of classes, or of parts with classes. images: the number with a class below it."""

    folder: Folder
    in_parts: bool
    images: int


def arrange(paths: Sequence[Folder]) -> list[Place | str]:
    """The place of each path, or why it has none. Raises UnusableError if the folders do not form a data set."""
    if not paths:
        raise UnusableError(f"the upload holds no images; {_EXPECTED}")
    folders = [path[:-1] for path in paths]
    roots, inner = _roots(folders), [_without_images(folder) for folder in folders]
    if _best(inner_roots := _roots(inner)).images > _best(roots).images:
        folders, roots = inner, inner_roots
    root = _best(roots)
    _check_rivals(root, roots)
    return _below(root, folders)


def _without_images(folder: Folder) -> Folder:
    return folder[:-1] if len(folder) > 1 and folder[-1].lower() == "images" else folder


def _roots(folders: Iterable[Folder]) -> list[_Root]:
    """Every folder below which images have a class."""
    classes: Counter[Folder] = Counter()
    parts: Counter[Folder] = Counter()
    with_train: set[Folder] = set()
    for folder, count in Counter(folders).items():
        if folder and not (len(folder) > 1 and part_of(folder[-2])):
            classes[folder[:-1]] += count
        elif len(folder) > 1 and (part := part_of(folder[-2])):
            parts[folder[:-2]] += count
            if part == "train":
                with_train.add(folder[:-2])
    plain = [_Root(folder, False, count) for folder, count in classes.items() if folder not in with_train]
    return [*plain, *(_Root(folder, True, parts[folder]) for folder in with_train)]


def _best(roots: Iterable[_Root]) -> _Root:
    """The root with the most images; of equals, the topmost."""
    return max(roots, key=lambda root: (root.images, -len(root.folder)), default=_Root((), False, 0))


def _check_rivals(best: _Root, roots: Iterable[_Root]) -> None:
    for other in roots:
        shared = min(len(best.folder), len(other.folder))
        apart = best.folder[:shared] != other.folder[:shared]
        if apart and other.images >= _RIVAL_SHARE * best.images:
            names = " and ".join(printable("/".join(root.folder)) for root in (best, other))
            raise UnusableError(f"class folders lie below {names}, which are not parts of one set; {_EXPECTED}")


def _below(root: _Root, folders: Sequence[Folder]) -> list[Place | str]:
    depth = len(root.folder)
    inner = [folder[depth:] if folder[:depth] == root.folder else None for folder in folders]
    if not root.in_parts:
        return [Place("train", class_name(f[0])) if f is not None and len(f) == 1 else _WRONG_DEPTH for f in inner]
    labels: dict[str, set[str]] = defaultdict(set)
    for folder in inner:
        if folder is not None and len(folder) == 2:
            labels[folder[0]].add(class_name(folder[1]))
    train = {label for name, found in labels.items() if part_of(name) == "train" for label in found}
    try:
        check_part_folders(labels)
        check_unknown_folders({name: found for name, found in labels.items() if part_of(name) is None}, train)
    except DataError as error:
        raise UnusableError(str(error)) from error
    return [_in_parts(folder) for folder in inner]


def _in_parts(folder: Folder | None) -> Place | str:
    if folder is None or not 1 <= len(folder) <= 2:
        return _WRONG_DEPTH
    part = part_of(folder[0])
    if part is None:
        return "lies in none of the folders train, valid and test"
    return Place(part, class_name(folder[1])) if len(folder) == 2 else "has no label: it lies in no class folder"
