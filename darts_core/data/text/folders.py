"""Reads folders of train.txt, valid.txt and test.txt: one sentence per line, words split by spaces (awd-lstm's layout).

Imports no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from darts_core.data.part_names import text_part_of
from darts_core.data.text.lines import PARTS, TextLines, checksum_of, lines_of
from darts_core.errors import DataError

LARGEST_BYTES: Final = 2**30


def read(name: str, data_root: Path) -> TextLines:
    """Read the folder NAME directly under data_root.

    Files may have the other names that uploads accept (`val.txt`, `wiki.train.tokens`, `ptb.train.txt`). Raises
    DataError, naming file and line, for a missing, empty or too large file, two files for one part, a path that leads
    out of data_root (links are followed first), bytes that are not UTF-8, or absurdly long words.
    """
    root = data_root.resolve()
    folder = (root / name).resolve()
    if not folder.is_relative_to(root):
        raise DataError(f"{name} leads out of {root}: put the folder itself there")
    files = {part: _file_of(folder, part) for part in PARTS}
    raw = {part: _bytes(file, root) for part, file in files.items()}
    lines = {part: lines_of(content, str(files[part])) for part, content in raw.items()}
    return TextLines(dict(lines), checksum_of(raw))


def _file_of(folder: Path, part: str) -> Path:
    """The file of a part: the plain name, else the only other known name present."""
    plain = folder / f"{part}.txt"
    if plain.exists() or not folder.is_dir():
        return plain
    found = sorted(path for path in folder.iterdir() if text_part_of(path.name) == part)
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise DataError(f"{folder} holds {names}, both for the {part} part: remove one, or call one {plain.name}")
    return found[0] if found else plain


def _bytes(file: Path, root: Path) -> bytes:
    if not file.resolve().is_relative_to(root):
        raise DataError(f"{file} leads out of {root}: put the file itself there")
    try:
        if not file.is_file():
            raise DataError(
                f"{file} is missing: a text has the files train.txt, valid.txt (or val.txt) and test.txt, or those of "
                "WikiText or Penn Treebank under their published names"
            )
        size = file.stat().st_size
        if size > LARGEST_BYTES:
            raise DataError(f"{file} has {size:,} bytes, more than {LARGEST_BYTES:,}: give a part of it")
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error}") from error
