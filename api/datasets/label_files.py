"""Reads labels from tables beside the images: files and classes (.csv, .tsv), or tiny-imagenet's
val_annotations.txt.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from api.datasets.layout import Place
from darts_core.data.decoding import is_image_name
from darts_core.data.part_names import class_name, part_of

_LABEL_COLUMNS: Final = ("label", "class", "category", "target", "class_name", "classname", "label_name", "breed", "y")
_PART_COLUMNS: Final = ("split", "part", "set", "subset", "fold")
# A table of bounding boxes looks alike, but its second column is a number.
_ANNOTATIONS: Final = re.compile(r"(?:.*[_-])?(?:annotations|labels)\.txt")
_SAMPLE: Final = 200

Folder = tuple[str, ...]


def is_label_name(name: str) -> bool:
    """Whether a file with this name may be a table of labels."""
    lower = name.lower()
    return lower.endswith((".csv", ".tsv")) or bool(_ANNOTATIONS.fullmatch(lower))


@dataclass(frozen=True)
class LabelFile:
    """A table of labels in the upload."""

    parts: Folder
    content: bytes


def labelled(files: Sequence[LabelFile], paths: Sequence[Folder]) -> tuple[dict[int, Place], set[LabelFile]]:
    """The place of each image that a table names, by its index in `paths`, and the tables that name any."""
    images = _Images(paths)
    found: dict[int, Place] = {}
    used: set[LabelFile] = set()
    for file in files:
        if places := _places(file, images):
            used.add(file)
            found |= places
    return found, used


class _Images:
    """Finds images by their names in tables."""

    def __init__(self, paths: Sequence[Folder]) -> None:
        self.paths = paths
        self._by_path = {path: i for i, path in enumerate(paths)}
        self._by_name: dict[str, list[int]] = defaultdict(list)
        for i, path in enumerate(paths):
            self._by_name[path[-1]].append(i)
            self._by_name[path[-1].rpartition(".")[0]].append(i)

    def find(self, name: str, folder: Folder) -> int | None:
        """The image that a table in `folder` names: by its path, else by a unique file name, with or without its
        suffix.
        """
        parts = tuple(part for part in name.strip().replace("\\", "/").split("/") if part not in ("", "."))
        if not parts:
            return None
        if (found := self._by_path.get((*folder, *parts))) is not None:
            return found
        candidates = self._by_name.get(parts[-1], [])
        for depth in range(len(folder), -1, -1):
            below = [i for i in candidates if self.paths[i][:depth] == folder[:depth]]
            if below:
                return below[0] if len(below) == 1 else None
        return None


def _places(file: LabelFile, images: _Images) -> dict[int, Place]:
    """The places from one table; empty if it names no images of the upload or no classes."""
    try:
        rows = _rows(file)
    except (UnicodeDecodeError, csv.Error):
        return {}
    if not rows:
        return {}
    headed = not any(is_image_name(cell.strip()) for cell in rows[0])
    header = [cell.strip().lower() for cell in rows.pop(0)] if headed else []
    columns = _columns(header, rows, images, file.parts[:-1])
    if columns is None:
        return {}
    file_column, label_column = columns
    part_column = next((i for i, name in enumerate(header) if name in _PART_COLUMNS), None)
    found: dict[int, Place] = {}
    for row in rows:
        if len(row) <= max(file_column, label_column) or not (label := row[label_column].strip()):
            continue
        image = images.find(row[file_column], file.parts[:-1])
        if image is not None:
            named = part_of(row[part_column].strip()) if part_column is not None and part_column < len(row) else None
            found[image] = Place(named or _part_in(file, images.paths[image]), class_name(label))
    return found


def _rows(file: LabelFile) -> list[list[str]]:
    text = file.content.decode("utf-8-sig")
    first = text.partition("\n")[0]
    if file.parts[-1].lower().endswith(".txt") and not any(sign in first for sign in "\t,;"):
        return [line.split() for line in text.splitlines() if line.strip()]
    delimiter = max("\t,;", key=first.count)
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row]


def _columns(header: list[str], rows: list[list[str]], images: _Images, folder: Folder) -> tuple[int, int] | None:
    """The columns of files and labels, or None. The file column is the one whose cells name the most images."""
    sample = rows[:_SAMPLE]
    width = max((len(row) for row in sample), default=0)
    hits = [len({images.find(row[i], folder) for row in sample if len(row) > i} - {None}) for i in range(width)]
    if not any(hits):
        return None
    file_column = hits.index(max(hits))
    others = [i for i in range(width) if i != file_column]
    named = [i for i in others if i < len(header) and header[i] in _LABEL_COLUMNS]
    if named:
        return file_column, named[0]
    if len(others) == 1 or not header:
        return (file_column, others[0]) if others else None
    return None


def _part_in(file: LabelFile, image: Folder) -> str:
    """The part named in the table's file name, else in a folder of the table or the image, else train."""
    stem = file.parts[-1].rpartition(".")[0].lower()
    for name in (*re.split(r"[^a-z]+", stem), *reversed(file.parts[:-1]), *reversed(image[:-1])):
        if part := part_of(name):
            return part
    return "train"
