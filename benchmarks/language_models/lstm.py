"""Trains an LSTM in place of a recurrent cell, by a spec that names it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from darts_core.configs import RnnEvaluationConfig
from darts_core.models.recurrent.language_model import LanguageModel
from darts_core.models.recurrent.lstm import LstmNetwork


class LstmEvaluationConfig(RnnEvaluationConfig):
    """Training of an LSTM: the fields of a cell's, without a genotype."""

    network: Literal["lstm"]  # without a default, so that a stored spec has it
    genotype: dict[str, Any] = Field(default_factory=dict, max_length=0)


def lstm_network(config: RnnEvaluationConfig, words: int) -> LanguageModel:
    """An LSTM of the spec's hidden size."""
    return LstmNetwork(words=words, size=config.hidden_size)
