"""Folders of train.txt, valid.txt and test.txt: words split by spaces, a sentence a line (the layout of awd-lstm).

Imports no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from darts_core.data.text.lines import PARTS, TextLines, checksum_of, lines_of
from darts_core.errors import DataError

LARGEST_BYTES: Final = 2**30


def read(name: str, data_root: Path) -> TextLines:
    """The folder NAME directly under data_root.

    Raises DataError, naming file and place, for what cannot be used: a missing, empty or too large file, a path that
    leads out of data_root (links are followed first), bytes that are no UTF-8, words of absurd length.
    """
    root = data_root.resolve()
    folder = (root / name).resolve()
    if not folder.is_relative_to(root):
        raise DataError(f"{name} leads out of {root}: put the folder itself there")
    raw = {part: _bytes(folder / f"{part}.txt", root) for part in PARTS}
    lines = {part: lines_of(content, str(folder / f"{part}.txt")) for part, content in raw.items()}
    return TextLines(dict(lines), checksum_of(raw))


def _bytes(file: Path, root: Path) -> bytes:
    if not file.resolve().is_relative_to(root):
        raise DataError(f"{file} leads out of {root}: put the file itself there")
    try:
        if not file.is_file():
            raise DataError(f"{file} is missing: a text has the files train.txt, valid.txt and test.txt")
        size = file.stat().st_size
        if size > LARGEST_BYTES:
            raise DataError(f"{file} has {size:,} bytes, more than {LARGEST_BYTES:,}: give a part of it")
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error}") from error
