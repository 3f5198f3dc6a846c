"""Computes the cost of a recurrent genotype's language model. Imports no torch.

Mirrors darts_core/models/recurrent/language_model.py; tests check that the numbers agree.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from darts_core.data.text import python_docs
from darts_core.data.text.catalogue import PYTHON_DOCS, TEXT_SETS, TextInfo, text_preset_of
from darts_core.data.text.lines import vocabulary_of
from darts_core.errors import ConfigError, Problem
from darts_core.genotypes import RecurrentGenotype
from darts_core.presets.cnn import preset_values
from darts_core.presets.rnn import RNN_EVALUATION_PRESETS
from darts_core.profile.shapes import range_problems

_RANGES: Final = {"hidden_size": (1, 16_384), "words": (2, 10_000_000)}


@dataclass(frozen=True)
class LanguageShape:
    """Sizes of a language model. Raises ConfigError on construction for every field out of range.

    hidden_size: of embedding, state and output, which are equal because the weights are tied. words: in the vocabulary.
    """

    hidden_size: int
    words: int

    def __post_init__(self) -> None:
        if problems := range_problems(self, _RANGES):
            raise ConfigError(problems)


# The language models of the DARTS paper (arXiv:1806.09055), section 3.2.
LANGUAGE_PRESETS: Final[dict[str, LanguageShape]] = {
    "ptb": LanguageShape(RNN_EVALUATION_PRESETS["ptb"][1]["hidden_size"], TEXT_SETS["ptb"].words),
    "wt2": LanguageShape(RNN_EVALUATION_PRESETS["wt2"][1]["hidden_size"], TEXT_SETS["wikitext-2"].words),
}


def language_shape_of(
    preset: str = "ptb", *, hidden_size: int | None = None, words: int | None = None
) -> LanguageShape:
    """A preset's shape with overrides. Raises ConfigError for an unknown preset or a size out of range."""
    if preset not in LANGUAGE_PRESETS:
        known = ", ".join(LANGUAGE_PRESETS)
        raise ConfigError([Problem(("preset",), f"unknown preset {preset!r}; known: {known}")])
    base = LANGUAGE_PRESETS[preset]
    return replace(base, hidden_size=hidden_size or base.hidden_size, words=words or base.words)


def language_shape_for(dataset: str, info: TextInfo | None = None) -> LanguageShape | None:
    """The language model that the text's preset trains; None for a text whose vocabulary only a worker knows.

    info: of an uploaded text.
    """
    values = preset_values(RNN_EVALUATION_PRESETS, text_preset_of(dataset, RNN_EVALUATION_PRESETS))
    if dataset == PYTHON_DOCS:
        return LanguageShape(values["hidden_size"], len(vocabulary_of(python_docs.read().lines["train"])))
    info = info or TEXT_SETS.get(dataset)
    return None if info is None else LanguageShape(values["hidden_size"], info.words)


@dataclass(frozen=True)
class LanguageProfile:
    """Trainable parameters, and multiply-adds of the matrix products per word, by part.

    embedding: tied to the decoder, hence counted once. decoder_bias: one number per word.
    """

    parameters: int
    multiply_adds: int
    embedding: int
    initial_state: int
    nodes: int
    decoder_bias: int

    def totals(self) -> dict[str, int]:
        """The totals of published tables, named as for convolutional networks; there is no auxiliary head."""
        return {
            "parameters": self.parameters,
            "parameters_with_auxiliary": self.parameters,
            "multiply_adds": self.multiply_adds,
        }

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def language_model_parameters(nodes: int, shape: LanguageShape) -> int:
    """Trainable parameters of the language model of a cell with so many nodes, discrete or not."""
    size, words = shape.hidden_size, shape.words
    return words * size + 2 * size * 2 * size + nodes * size * 2 * size + words


def profile_language_model(genotype: RecurrentGenotype, shape: LanguageShape) -> LanguageProfile:
    size, words = shape.hidden_size, shape.words
    embedding = words * size
    initial_state = 2 * size * 2 * size  # gate and candidate, from the word and the previous output
    nodes = len(genotype.recurrent) * size * 2 * size
    return LanguageProfile(
        parameters=language_model_parameters(len(genotype.recurrent), shape),
        multiply_adds=initial_state + nodes + embedding,
        embedding=embedding,
        initial_state=initial_state,
        nodes=nodes,
        decoder_bias=words,
    )
