"""Stores a checked text as one file: each part's UTF-8 behind a JSON header, in the safetensors layout.

The same words in the same lines always give the same file, so its SHA-256 identifies the text. Imports no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from darts_core.data.text.lines import PARTS, Lines, TextLines, lines_of
from darts_core.errors import DataError
from darts_core.files.safetensors import write as write_safetensors

_LONGEST_HEADER: Final = 2**16


def to_bytes(lines: Lines) -> bytes:
    """Join words by single spaces, one line per sentence."""
    return "".join(f"{' '.join(words)}\n" for words in lines).encode()


def write(path: Path, parts: Mapping[str, bytes]) -> str:
    """Write each of `PARTS`, as made by `to_bytes`, and return the file's SHA-256. Raises OSError."""
    return write_safetensors(path, {part: ("U8", (len(parts[part]),), parts[part]) for part in PARTS})


def read(path: Path, checksum: str) -> TextLines:
    """Read a file written by `write`. Raises DataError when its content does not match the checksum."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"the text of checksum {checksum} is not here: {path} is missing") from None
    found = sha256(content).hexdigest()
    if found != checksum:
        raise DataError(f"{path} has the checksum {found}, not {checksum}: remove it, and the worker fetches it again")
    try:
        length = int.from_bytes(content[:8], "little")
        if length > _LONGEST_HEADER:
            raise ValueError("its header is too long")
        header = json.loads(content[8 : 8 + length])
        places = {part: header[part]["data_offsets"] for part in PARTS}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a packed text of this version: {error}") from error
    data = memoryview(content)[8 + length :]
    lines = {part: lines_of(bytes(data[start:end]), f"{path}, {part}") for part, (start, end) in places.items()}
    return TextLines(dict(lines), checksum)
