"""Maps names of folders and files to parts of a data set, and normalises class names. Imports no torch.

Shared by uploads, `folder:NAME` and the published texts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from darts_core.errors import DataError
from darts_core.printable import printable

_NAMES: Final = {
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation", "dev", "eval"),
    "test": ("test", "testing"),
}
_PART_OF: Final = {name: part for part, names in _NAMES.items() for name in names}
# train.txt, and published names: wiki.train.tokens, ptb.train.txt, wiki.train.raw.
_TEXT_FILE: Final = re.compile(r"(?:[a-z0-9-]+\.)?([a-z]+)\.(?:txt|tokens|raw)")
KNOWN: Final = "; ".join(f"{part}: {', '.join(names)}" for part, names in _NAMES.items())


def part_of(folder: str) -> str | None:
    """The part (train, valid or test) of a folder with this name, else None."""
    return _PART_OF.get(folder.lower())


def text_part_of(file: str) -> str | None:
    """The part of a text file with this name, else None."""
    named = _TEXT_FILE.fullmatch(file.lower())
    return part_of(named[1]) if named else None


def class_name(folder: str) -> str:
    """Normalise a class name to Unicode NFC."""
    return unicodedata.normalize("NFC", folder)


def check_part_folders(folders: Iterable[str]) -> None:
    found: dict[str, str] = {}
    for folder in sorted(set(folders)):
        part = part_of(folder)
        if part is not None and (other := found.setdefault(part, folder)) != folder:
            raise DataError(f"the folders {other} and {folder} both hold the {part} part: merge them, or remove one")


def check_unknown_folders(classes: Mapping[str, set[str]], known: set[str]) -> None:
    """Raise DataError when a folder whose name is no part's holds classes of the training part: it is labelled data.

    classes: of each such folder beside the training part.
    """
    for folder, labels in sorted(classes.items()):
        if labels & known:
            raise DataError(
                f"the folder {printable(folder)} holds images of the training part's classes, and is called like no "
                f"part ({KNOWN}): rename it, or remove it"
            )
