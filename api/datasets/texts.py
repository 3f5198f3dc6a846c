"""Packs the files of an upload into one text: `[root/]train.txt`, `valid.txt` and `test.txt`.

The files may also have the names of WikiText and Penn Treebank (`wiki.train.tokens`, `ptb.train.txt`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from api.datasets.archive_limits import UnusableError
from api.datasets.archives import Entry
from api.datasets.report import Report
from darts_core.data.part_names import text_part_of
from darts_core.data.text import packed
from darts_core.data.text.lines import PARTS, lines_of, vocabulary_of, words_of
from darts_core.data.text.warnings import text_warnings
from darts_core.errors import DataError

_EXPECTED: Final = (
    "expected [root/]train.txt, valid.txt (or val.txt) and test.txt, or wiki.train.tokens, ptb.train.txt and the like"
)
# A column needs at least three words, and a search reads two columns side by side.
_LEAST_WORDS: Final = {"train": 6, "valid": 3, "test": 3}


def pack_text(entries: Iterable[Entry], out: Path, *, report: Report) -> dict[str, Any]:
    """Write the three parts to `out`; returns the text's checksum, size in bytes and sizes in words as JSON.

    Raises UnusableError if a part is missing, duplicate, too short or not UTF-8, or has too many distinct words.
    """
    contents = _contents(entries, report)
    try:
        train = lines_of(contents["train"], "train.txt")
        vocabulary = frozenset(vocabulary_of(train))
        parts, counts, unknown = {}, {}, {}
        all_words: set[str] = set()
        for part in PARTS:
            content = contents.pop(part)
            lines = train if part == "train" else lines_of(content, f"{part}.txt")
            for warning in text_warnings(content, lines, f"{part}.txt", len(vocabulary)):
                report.warn(warning)
            parts[part] = packed.to_bytes(lines)
            counts[part] = sum(len(words) + 1 for words in lines)
            unknown[part] = sum(word not in vocabulary for word in words_of(lines))
            all_words.update(words_of(lines))
    except DataError as error:
        raise UnusableError(str(error)) from error
    for part, least in _LEAST_WORDS.items():
        if counts[part] < least:
            raise UnusableError(
                f"there are too few words: {counts[part]} in {part}.txt with one <eos> a line, at least {least} are "
                "needed; add some"
            )
    checksum = packed.write(out, parts)
    return {
        "kind": "text",
        "checksum": checksum,
        "size": out.stat().st_size,
        "info": {"words": len(vocabulary), "all_words": len(all_words), **counts, "unknown": unknown},
    }


def _contents(entries: Iterable[Entry], report: Report) -> dict[str, bytes]:
    """The bytes of each part; all files must be in one folder."""
    found: dict[str, bytes] = {}
    folder: tuple[str, ...] | None = None
    for entry in entries:
        part = text_part_of(entry.parts[-1])
        if part is None:
            report.skip(entry.parts, "not a part of the text", f"is not a part of the text; {_EXPECTED}")
            continue
        if entry.problem is not None:
            raise UnusableError(f"{entry.name} {entry.problem}")
        if part in found:
            raise UnusableError(f"{entry.name} is a second file for the {part} part; {_EXPECTED}")
        if folder not in (None, entry.parts[:-1]):
            raise UnusableError(f"{entry.name} is in another folder than the other parts; {_EXPECTED} in one folder")
        folder = entry.parts[:-1]
        try:
            found[part] = entry.read()
        except DataError as error:
            raise UnusableError(f"{entry.name} {error}") from error
    if missing := [part for part in PARTS if part not in found]:
        raise UnusableError(f"{' and '.join(f'{part}.txt' for part in missing)} missing; {_EXPECTED}")
    return found
