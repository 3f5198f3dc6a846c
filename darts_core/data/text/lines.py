"""A text as lines of words, in three parts, before words become numbers. Imports no torch."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from darts_core.errors import DataError

EOS: Final = "<eos>"
UNKNOWN: Final = "<unk>"
PARTS: Final = ("train", "valid", "test")

# Every checkpoint carries the vocabulary, and every step computes a probability for each of its words.
MOST_WORDS: Final = 500_000

Lines = Sequence[Sequence[str]]


@dataclass(frozen=True)
class TextLines:
    """lines: of each of `PARTS`. checksum: SHA-256 of the content. version: what else its content depends on."""

    lines: dict[str, Lines]
    checksum: str
    version: str | None = None


def vocabulary_of(train: Lines) -> tuple[str, ...]:
    """The words of the training part in order of appearance, with <eos> and <unk> among them.

    A text that has no <unk> of its own gets it in place of the words that occur once: else nothing could be learned
    about words that were never seen. Raises DataError when there are too many.
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


def words_of(lines: Lines) -> Iterable[str]:
    """All words in order, <eos> behind each line."""
    for line in lines:
        yield from line
        yield EOS


def checksum_of(parts: dict[str, bytes]) -> str:
    """SHA-256 over the named parts; the lengths are in it, so that no word can move from one to the next unseen."""
    digest = hashlib.sha256()
    for name in PARTS:
        digest.update(f"{name} {len(parts[name])}\n".encode())
        digest.update(parts[name])
    return digest.hexdigest()
