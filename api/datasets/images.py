"""Decodes the images of an upload and assigns each to its part and class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final

from api.datasets.archive_limits import Limits, OnlyTextError, UnusableError
from api.datasets.archives import Entry
from api.datasets.array_sets import ArraySet
from api.datasets.label_files import LabelFile, is_label_name, labelled
from api.datasets.layout import Place, arrange
from api.datasets.report import Report
from api.datasets.spool import Spool, SpooledImage
from darts_core.data.array_names import is_array_name
from darts_core.data.decoding import SUFFIXES, decode, is_image_name, squared
from darts_core.data.part_names import part_of, text_part_of
from darts_core.errors import DataError

_NO_IMAGE: Final = "not an image by its name"
_NO_IMAGE_DETAIL: Final = f"is not an image by its name; known: {', '.join(sorted(SUFFIXES))}"
# Folders with these names hold images of any class.
_PLAIN_FOLDERS: Final = frozenset({"images", "imgs", "img", "data", "jpg", "png"})

Placed = list[tuple[SpooledImage, Place]]


@dataclass
class _Found:
    """The contents of an upload."""

    images: list[SpooledImage] = field(default_factory=list)
    tables: list[LabelFile] = field(default_factory=list)
    refused_arrays: list[str] = field(default_factory=list)
    texts: bool = False


def placed_images(
    entries: Iterable[Entry], spool: Spool, *, size: int | None, limits: Limits, report: Report
) -> Placed:
    """The usable images and their places. size: pixels per side to scale all images to.

    Files of arrays are used only if there are no image files. Raises UnusableError; OnlyTextError if there is only a
    text.
    """
    arrays = ArraySet(limits)
    found = _read(entries, spool, arrays, size, limits, report)
    if found.images:
        return _place(found, report)
    if found.refused_arrays:
        raise UnusableError(found.refused_arrays[0])
    if arrays:
        return [
            (spool.add(parts, pixels if size is None else squared(pixels, size)), place)
            for parts, pixels, place in arrays.images()
        ]
    if found.texts:
        raise OnlyTextError("the upload holds a text and no image: omit kind and size, or set kind=text")
    raise UnusableError(f"the upload holds no usable image{report.most_common}")


def _read(
    entries: Iterable[Entry], spool: Spool, arrays: ArraySet, size: int | None, limits: Limits, report: Report
) -> _Found:
    found = _Found()
    for entry in entries:
        name = entry.parts[-1]
        found.texts = found.texts or text_part_of(name) is not None
        try:
            if entry.problem is not None:
                report.skip(entry.parts, "unsupported file", entry.problem)
            elif is_image_name(name):
                pixels, changes = decode(BytesIO(entry.read()), size=size, most_pixels=limits.pixels)
                report.change(changes)
                found.images.append(spool.add(entry.parts, pixels))
            elif is_label_name(name):
                found.tables.append(LabelFile(entry.parts, entry.read()))
            elif not is_array_name(name) or not _take_arrays(arrays, entry, found):
                report.skip(entry.parts, _NO_IMAGE, _NO_IMAGE_DETAIL)
        except DataError as error:
            report.skip(entry.parts, "image that cannot be decoded", str(error))
    return found


def _take_arrays(arrays: ArraySet, entry: Entry, found: _Found) -> bool:
    try:
        return arrays.take(entry)
    except DataError as error:
        found.refused_arrays.append(f"{entry.name} {error}")
        return False


def _place(found: _Found, report: Report) -> Placed:
    paths = [image.parts for image in found.images]
    by_table, used = labelled(found.tables, paths)
    for table in found.tables:
        if table not in used:
            report.skip(table.parts, _NO_IMAGE, f"names no image of the upload with its label, and {_NO_IMAGE_DETAIL}")
    placed: Placed = []
    for i, (image, place) in enumerate(zip(found.images, _by_folders(paths, bool(by_table)), strict=True)):
        chosen = by_table.get(i, place) if isinstance(place, str) else place
        if isinstance(chosen, Place):
            placed.append((image, chosen))
        else:
            report.skip(image.parts, "not in a class folder", chosen)
    if not any(place.part == "train" for _, place in placed):
        raise UnusableError(f"no image lies in a class folder to train on{report.most_common}")
    return placed


def _by_folders(paths: list[tuple[str, ...]], with_tables: bool) -> list[Place | str]:
    """The places given by folders. Next to a table of labels, folders that do not distinguish classes are ignored."""
    if not with_tables:
        return arrange(paths)
    try:
        places = arrange(paths)
    except UnusableError as error:
        return [str(error)] * len(paths)
    labels = {place.label for place in places if isinstance(place, Place) and place.part == "train"}
    if len({label for label in labels if part_of(label) is None and label.lower() not in _PLAIN_FOLDERS}) < 2:
        return ["has no label: it lies in no class folder, and no table names it"] * len(paths)
    return places
