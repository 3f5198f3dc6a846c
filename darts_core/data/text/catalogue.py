"""Describes the built-in texts. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from darts_core.data.catalogue import FOLDER_PREFIX, folder_named_by, is_plain_name
from darts_core.errors import DataError
from darts_core.validation import did_you_mean

PYTHON_DOCS: Final = "python-docs"
FOLDER_PRESET: Final = "ptb"


@dataclass(frozen=True)
class TextInfo:
    """Sizes of a text. words: in its vocabulary, <eos> included. train, valid, test: words in each part.

    checksum: of an uploaded text's content, None for a published one. all_words: distinct words in all parts, <eos>
    included; None where not counted.
    """

    name: str
    words: int
    train: int
    valid: int
    test: int
    preset: str = FOLDER_PRESET
    checksum: str | None = None
    all_words: int | None = None


# Penn Treebank as Mikolov prepared it; WikiText-2 (arXiv:1609.07843). Their files lie under the data root.
TEXT_SETS: Final[dict[str, TextInfo]] = {
    "ptb": TextInfo("ptb", words=10_000, train=929_589, valid=73_760, test=82_430, preset="ptb", all_words=10_000),
    "wikitext-2": TextInfo(
        "wikitext-2", words=33_278, train=2_088_628, valid=217_646, test=245_569, preset="wt2", all_words=33_278
    ),
}


def text_folder_of(dataset: str) -> str | None:
    """Return the text's folder under the data root; None for `python-docs`, which has none.

    Raises DataError for a name that is unknown or could lead outside the data root.
    """
    if dataset == PYTHON_DOCS:
        return None
    if dataset in TEXT_SETS:
        return dataset
    if dataset.startswith(FOLDER_PREFIX):
        return folder_named_by(dataset)
    known = [PYTHON_DOCS, *TEXT_SETS]
    meant = did_you_mean(dataset, known)
    raise DataError(
        f"unknown text {dataset!r}{meant}; known: {', '.join(known)}, or folder:NAME for a folder of "
        "train/valid/test.txt"
    )


def is_uploaded_text(dataset: str) -> bool:
    """Whether the name is neither built in nor `folder:NAME`, so that only a checksum can identify the text."""
    return dataset != PYTHON_DOCS and dataset not in TEXT_SETS and is_plain_name(dataset)


def text_preset_of(dataset: str, presets: Collection[str]) -> str:
    """The preset that a spec on this text starts from unless it names another."""
    info = TEXT_SETS.get(dataset)
    wanted = info.preset if info else dataset
    return wanted if wanted in presets else FOLDER_PRESET
