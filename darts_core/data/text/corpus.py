"""Turns a text into word indices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from darts_core.data.catalogue import upload_path
from darts_core.data.text import folders, packed, python_docs
from darts_core.data.text.catalogue import is_uploaded_text, text_folder_of
from darts_core.data.text.lines import PARTS, UNKNOWN, TextLines, vocabulary_of, words_of
from darts_core.errors import DataError
from darts_core.training.stages import LOADING, stage


@dataclass(frozen=True)
class TextData:
    """A text in memory, on the CPU.

    parts: word indices of `train`, `valid` and `test`, int64 (N,). unknown: how many words of each part the training
    vocabulary lacks. checksum, version: see `TextLines`.
    """

    parts: dict[str, Tensor]
    unknown: dict[str, int]
    vocabulary: tuple[str, ...]
    checksum: str
    version: str | None

    @property
    def sizes(self) -> dict[str, int]:
        """Words in the vocabulary and in each part, <eos> included."""
        return {"vocabulary": len(self.vocabulary), **{part: len(words) for part, words in self.parts.items()}}


@stage(LOADING)
def load_text(dataset: str, data_root: Path, checksum: str | None = None) -> TextData:
    """Load a whole text: `python-docs`, a published one, `folder:NAME` under data_root, or an uploaded one.

    The vocabulary comes from the training part alone. Raises DataError, also when the content does not match the
    checksum.
    """
    return numbered(load_lines(dataset, data_root, checksum))


def load_lines(dataset: str, data_root: Path, checksum: str | None = None) -> TextLines:
    """Load a text as lines, before words become indices."""
    if checksum is not None and is_uploaded_text(dataset):
        return packed.read(upload_path(data_root, checksum), checksum)
    name = text_folder_of(dataset)
    lines = python_docs.read() if name is None else folders.read(name, data_root)
    if checksum not in (None, lines.checksum):
        here = f" ({lines.version})" if lines.version else ""
        raise DataError(
            f"{dataset} has the checksum {lines.checksum} here{here}, the spec was made for {checksum}: the texts "
            "differ; run it where the text is the same, or make a new spec"
        )
    return lines


def numbered(lines: TextLines) -> TextData:
    """Map words to indices. Raises DataError when the vocabulary is too large."""
    vocabulary = vocabulary_of(lines.lines["train"])
    parts = {part: encode(words_of(lines.lines[part]), vocabulary) for part in PARTS}
    unknown_words = {part: int((words == vocabulary.index(UNKNOWN)).sum()) for part, words in parts.items()}
    return TextData(parts, unknown_words, vocabulary, lines.checksum, lines.version)


def encode(words: Iterable[str], vocabulary: Sequence[str]) -> Tensor:
    """Map words to indices, int64 (N,); a word outside the vocabulary becomes <unk>.

    Raises DataError for such a word when the vocabulary has no <unk>, as an imported one may.
    """
    places = {word: i for i, word in enumerate(vocabulary)}
    unknown = places.get(UNKNOWN)
    given = list(words)
    if unknown is None and (lacking := next((word for word in given if word not in places), None)):
        raise DataError(f"{lacking!r} is not in the model's vocabulary, which has no {UNKNOWN} to take its place")
    return torch.tensor([places.get(word, unknown) for word in given], dtype=torch.int64)
