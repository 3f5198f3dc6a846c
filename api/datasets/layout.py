"""From the paths in an upload to parts and classes: `[root/]class/*` or `[root/]{train,valid|val,test}/class/*`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from api.datasets.limits import UnusableError

_PARTS: Final = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}
_EXPECTED: Final = "expected [root/]class/image or [root/]{train,valid,test}/class/image"


@dataclass(frozen=True)
class Place:
    """Where an image belongs. part: train, valid or test."""

    part: str
    label: str


def arrange(paths: Sequence[tuple[str, ...]]) -> list[Place | str]:
    """For each path its place, or why it has none. Raises UnusableError when the folders are no data set."""
    if not paths:
        raise UnusableError(f"there are no images in it; {_EXPECTED}")
    depth = _common_folders(paths)
    inner = [path[depth:] for path in paths]
    tops = {path[0] for path in inner if len(path) == 3}
    return [_in_parts(path) for path in inner] if "train" in tops else [_in_classes(path) for path in inner]


def _common_folders(paths: Sequence[tuple[str, ...]]) -> int:
    """How many leading folders all images share, up to the parts or classes."""
    depth = 0
    while True:
        tops = {path[depth] for path in paths if len(path) > depth + 1}
        deeper = any(len(path) > depth + 2 for path in paths)
        if len(tops) != 1 or not deeper or tops <= _PARTS.keys():
            return depth
        depth += 1


def _in_parts(path: tuple[str, ...]) -> Place | str:
    if len(path) != 3:
        return f"lies at the wrong depth; {_EXPECTED}"
    part = _PARTS.get(path[0])
    return Place(part, path[1]) if part else "lies in none of the folders train, valid and test"


def _in_classes(path: tuple[str, ...]) -> Place | str:
    return Place("train", path[0]) if len(path) == 2 else f"lies at the wrong depth; {_EXPECTED}"
