"""Builds `python-docs` from the language reference in CPython's `pydoc_data.topics`. Imports no torch.

Needs no download, but differs between Python versions: every figure comes with its checksum and version.
"""

from __future__ import annotations

import platform
import re
from functools import cache
from typing import Final

from darts_core.data.text.lines import Lines, TextLines, checksum_of

# Identifiers, numbers and punctuation; a run of one sign is one token: `==`, `...`.
_WORD: Final = re.compile(r"(?P<sign>[^\w\s])(?P=sign)*|[^\W\d]\w*|\d+")
# Heading underlines and table rules carry no meaning, yet would be half of all signs.
_RULE: Final = re.compile(r"^[ \t]*[-+=*~^|][-+=*~^| \t]{2,}$", re.MULTILINE)
# Of every ten consecutive blocks the ninth is for validation, the tenth for testing.
_BLOCK: Final = 10
_PARTS: Final = ("train",) * 8 + ("valid", "test")


@cache
def read() -> TextLines:
    """The running Python's text: one paragraph per line, lower case, numbers as N.

    Paragraphs shared by several topics are kept once, so that no test paragraph occurs in training. Blocks of ten
    paragraphs stay together; four fifths of the blocks are for training, a tenth each for validation and testing.
    """
    lines: dict[str, list[list[str]]] = {"train": [], "valid": [], "test": []}
    for i, paragraph in enumerate(_paragraphs()):
        lines[_PARTS[i // _BLOCK % len(_PARTS)]].append(paragraph)
    parts: dict[str, Lines] = {**lines}
    checksum = checksum_of({part: "\n".join(map(" ".join, found)).encode() for part, found in lines.items()})
    return TextLines(parts, checksum, f"{platform.python_implementation()} {platform.python_version()}")


def _paragraphs() -> list[list[str]]:
    from pydoc_data.topics import topics

    found: dict[str, list[str]] = {}
    for name in sorted(topics):
        for paragraph in re.split(r"\n\s*\n", _RULE.sub("", topics[name])):
            words = [match[0] for match in _WORD.finditer(paragraph.lower())]
            words = ["N" if word.isdigit() else word for word in words]
            if words:
                found.setdefault(" ".join(words), words)
    return list(found.values())
