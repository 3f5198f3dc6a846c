"""Splits a text into lines of words. Imports no torch."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from darts_core.errors import DataError

EOS: Final = "<eos>"
UNKNOWN: Final = "<unk>"
PARTS: Final = ("train", "valid", "test")

# Every checkpoint carries the vocabulary, and every step computes a probability for each word in it.
MOST_WORDS: Final = 500_000
LONGEST_WORD: Final = 1000

Lines = Sequence[Sequence[str]]


@dataclass(frozen=True)
class TextLines:
    """lines: of each of `PARTS`. checksum: SHA-256 of the content. version: of the software that the content depends
    on.
    """

    lines: dict[str, Lines]
    checksum: str
    version: str | None = None


def authors_vocabulary(lines: Mapping[str, Lines]) -> tuple[str, ...]:
    """The DARTS authors' vocabulary: words of all parts by first appearance, with <eos> at line ends.

    lines: of each of `PARTS`, read in this order. Our own training uses `vocabulary_of`.
    """
    return tuple(dict.fromkeys(word for part in PARTS for word in words_of(lines[part])))


def vocabulary_of(train: Lines) -> tuple[str, ...]:
    """Words of the training part in order of appearance, with <eos> and <unk> among them.

    Without an <unk> of its own, words that occur once become <unk>; otherwise nothing could be learned about unseen
    words. Raises DataError when there are too many words.
    """
    counts = Counter(word for line in train for word in line)
    least = 1 if UNKNOWN in counts else 2
    words = [word for word, count in counts.items() if count >= least and word != EOS]
    words = [*words, *(special for special in (EOS, UNKNOWN) if special not in words)]
    if len(words) > MOST_WORDS:
        raise DataError(
            f"the training text has {len(words):,} different words, more than {MOST_WORDS:,}: replace rare ones by "
            f"{UNKNOWN}"
        )
    return tuple(words)


def lines_of(content: bytes, file: str) -> list[list[str]]:
    """Split each line into words. Raises DataError, naming file and line, for content that is not text."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file}: line {line} is not UTF-8 (byte {error.start:,} is 0x{content[error.start]:02x}): convert the file"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{file}: line {line} holds a zero byte, so this is not text")
    lines = [line.split() for line in text.removesuffix("\n").split("\n")]
    for number, words in enumerate(lines, start=1):
        if (longest := max(map(len, words), default=0)) > LONGEST_WORD:
            raise DataError(
                f"{file}: line {number} has a word of {longest:,} characters, more than {LONGEST_WORD:,}: words are "
                "split by spaces"
            )
    if not any(lines):
        raise DataError(f"{file} holds no words")
    return lines


def words_of(lines: Lines) -> Iterable[str]:
    """Concatenate all lines, each followed by <eos>."""
    for line in lines:
        yield from line
        yield EOS


def checksum_of(parts: dict[str, bytes]) -> str:
    """SHA-256 over the named parts, lengths included, so that moving a word between parts changes it."""
    digest = hashlib.sha256()
    for name in PARTS:
        digest.update(f"{name} {len(parts[name])}\n".encode())
        digest.update(parts[name])
    return digest.hexdigest()
