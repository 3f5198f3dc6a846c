"""Folders of train.txt, valid.txt and test.txt: words split by spaces, a sentence a line (the layout of awd-lstm).

Imports no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from darts_core.data.text.lines import PARTS, TextLines, checksum_of
from darts_core.errors import DataError

LARGEST_BYTES: Final = 2**30
LONGEST_WORD: Final = 1000


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
    lines = {part: _lines(content, folder / f"{part}.txt") for part, content in raw.items()}
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


def _lines(content: bytes, file: Path) -> list[list[str]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file}: line {line} is no UTF-8 (byte {error.start:,} is 0x{content[error.start]:02x}): convert the file"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{file}: line {line} holds a zero byte: this is no text")
    lines = [line.split() for line in text.removesuffix("\n").split("\n")]
    for number, words in enumerate(lines, start=1):
        if (longest := max(map(len, words), default=0)) > LONGEST_WORD:
            raise DataError(
                f"{file}: line {number} has a word of {longest:,} characters, more than {LONGEST_WORD:,}: words are "
                "split by spaces"
            )
    if not any(lines):
        raise DataError(f"{file} holds no word")
    return lines
