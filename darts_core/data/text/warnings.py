"""Warns about usable texts that probably differ from their owner's intent. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from darts_core.data.text.lines import EOS, Lines

_SMALL_VOCABULARY: Final = 10
# Languages that separate words by spaces stay far below this, as do tables of numbers and addresses.
_LONG_WORDS: Final = 20


def text_warnings(content: bytes, lines: Lines, file: str, vocabulary: int) -> Iterator[str]:
    """Warn about one part. content: the file; lines: its words; vocabulary: size of the training vocabulary."""
    if b"\r" in content and b"\n" not in content:
        yield f"{file} ends its lines in CR alone, so that it is one single line here: convert its line ends to LF"
    doubled = sum(1 for words in lines if words and words[-1] == EOS)
    if doubled:
        yield f"{doubled:,} lines of {file} end in an {EOS} of their own, and every line gets one: remove them"
    if file == "train.txt" and vocabulary <= _SMALL_VOCABULARY:
        yield f"the vocabulary has only {vocabulary} words: put spaces between words, or bring a longer text"
    count = sum(len(words) for words in lines)
    if count and sum(len(word) for words in lines for word in words) > _LONG_WORDS * count:
        yield f"the words of {file} are over {_LONG_WORDS} characters long on average: put spaces between words"
