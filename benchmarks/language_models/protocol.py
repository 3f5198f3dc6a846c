"""Describes the trainings that compare recurrent cells with an LSTM: networks, the grid of settings, and seeds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmarks.language_models.lstm import LstmEvaluationConfig
from benchmarks.ledger.protocol import PROTOCOLS, ProtocolError
from client.failures import fields
from darts_core.configs import RnnEvaluationConfig, RnnSearchConfig
from darts_core.genotypes import RecurrentGenotype, parse, random_recurrent_genotype, to_json
from darts_core.models.recurrent.lstm import lstm_parameters, size_of_equal_lstm
from darts_core.profile import LanguageShape, profile_language_model

CPU: Final[Path] = PROTOCOLS / "recurrent-cpu.json"

Config = TypeVar("Config", RnnSearchConfig, RnnEvaluationConfig, LstmEvaluationConfig)

Cell = RecurrentGenotype | None
"""A recurrent cell, or None for the LSTM."""


class Setting(NamedTuple):
    """A point of the grid: a learning rate, and the name of the dropouts."""

    rate: float
    dropout: str

    def __str__(self) -> str:
        return f"{self.rate:g}, {self.dropout}"


class LanguageModelProtocol(BaseModel):
    """How recurrent cells are compared with an LSTM.

    cells: genotypes by name. random_cells: how many are drawn, with the seeds from 0. seeds: trainings of each other
    network. rates, dropouts: the grid; dropouts are fields of a training by a name. search: fields of the search.
    training: further fields of all trainings; its hidden size is that of a cell with as many nodes as the search's, and
    every other network has the size whose number of parameters comes closest. deviations: from the published protocol,
    a sentence each. machine: of the calibration.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str = "python-docs"
    seeds: int = Field(ge=2)
    cells: dict[str, str]
    random_cells: int = Field(ge=2)
    rates: list[float] = Field(min_length=1)
    dropouts: dict[str, dict[str, float]] = Field(min_length=1)
    search: dict[str, Any]
    training: dict[str, Any]
    deviations: list[str] = Field(default_factory=list)
    machine: str = ""

    @property
    def settings(self) -> list[Setting]:
        """The grid."""
        return [Setting(rate, dropout) for dropout in self.dropouts for rate in self.rates]

    @cached_property
    def searching(self) -> RnnSearchConfig:
        """The resolved spec of the search. Raises ProtocolError, ConfigError."""
        return _resolved(RnnSearchConfig, {"dataset": self.dataset, **self.search})

    def named(self) -> dict[str, RecurrentGenotype]:
        """The cells that need no search. Raises GenotypeError."""
        return {name: parse(text, "rnn") for name, text in self.cells.items()}

    def drawn(self) -> Iterator[RecurrentGenotype]:
        """The random cells, in the search's space."""
        search = self.searching
        for seed in range(self.random_cells):
            yield random_recurrent_genotype(seed, nodes=search.nodes, primitives=search.primitives or ())

    def trained(self, cell: Cell, setting: Setting, seed: int, words: int) -> RnnEvaluationConfig:
        """The resolved spec of one training, on a text with that many words. Raises ProtocolError, ConfigError."""
        given = {"dataset": self.dataset, **self.training, **self.dropouts[setting.dropout]}
        given |= {"hidden_size": self.size(cell, words), "weight_lr": setting.rate, "seed": seed}
        if cell is None:
            return _resolved(LstmEvaluationConfig, {**given, "network": "lstm"})
        return _resolved(RnnEvaluationConfig, {**given, "genotype": to_json(cell)})

    def size(self, cell: Cell, words: int) -> int:
        """The hidden size at which the network has as many parameters as the others."""
        hidden_size, nodes = self.training["hidden_size"], self.searching.nodes
        wanted = _parameters(random_recurrent_genotype(0, nodes=nodes), hidden_size, words)
        if cell is None:
            return size_of_equal_lstm(wanted, words)
        sizes = range(1, 4 * hidden_size)
        return min(sizes, key=lambda size: abs(_parameters(cell, size, words) - wanted))

    def parameters(self, cell: Cell, words: int) -> int:
        """How many the network has."""
        size = self.size(cell, words)
        return lstm_parameters(size, words) if cell is None else _parameters(cell, size, words)


def _parameters(cell: RecurrentGenotype, size: int, words: int) -> int:
    return profile_language_model(cell, LanguageShape(size, words)).parameters


def _resolved(kind: type[Config], given: dict[str, Any]) -> Config:
    """The spec of these fields without Python's version: the text's checksum tells texts apart."""
    try:
        return kind(**given).resolved().model_copy(update={"text_version": None})
    except ValidationError as error:
        raise ProtocolError(fields(error, kind)) from error
