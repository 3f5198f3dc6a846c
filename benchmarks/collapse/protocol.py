"""Describes the searches whose collapses are counted: spaces, seeds, and the epochs that fit the budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import Field

from benchmarks.ledger.protocol import PROTOCOLS, Budget, ProtocolError
from darts_core.configs import SearchConfig
from darts_core.configs.guard import Guard
from darts_core.spaces import CnnSpace

CPU: Final = PROTOCOLS / "guard-cpu.json"
GUARDS: Final[tuple[Guard, ...]] = ("off", "auto")


class CollapseProtocol(Budget):
    """In which spaces a search is run with a guard and without.

    spec: besides space, guard, seed, epochs and data set. of_space: further fields, by space. fewest_epochs: also where
    they exceed the budget. seconds_per_epoch and epochs: by space, without a guard.
    """

    spaces: list[CnnSpace] = Field(min_length=1)
    of_space: dict[CnnSpace, dict[str, Any]] = Field(default_factory=dict)
    fewest_epochs: int = Field(1, ge=1)
    seconds_per_epoch: dict[CnnSpace, float] = Field(default_factory=dict)
    epochs: dict[CnnSpace, int] = Field(default_factory=dict)

    def search(self, space: CnnSpace, guard: Guard, seed: int, dataset: str, epochs: int | None = None) -> SearchConfig:
        """The resolved spec of one search. Raises ProtocolError for a space without epochs, ConfigError."""
        if epochs is None and space not in self.epochs:
            raise ProtocolError(f"the protocol has no epochs for {space}: calibrate it first (--calibrate)")
        given = {
            **self.spec,
            **self.of_space.get(space, {}),
            "space": space,
            "guard": guard,
            "seed": seed,
            "dataset": dataset,
        }
        return SearchConfig(**given, epochs=epochs or self.epochs[space]).resolved()

    def firsts(self, dataset: str) -> list[SearchConfig]:
        """The resolved spec of the first search, of the one method."""
        return [self.search(self.spaces[0], GUARDS[0], 0, dataset)]

    def calibrated(self, seconds: Mapping[CnnSpace, float], machine: str) -> CollapseProtocol:
        """The protocol with the epochs that fit the budget at these processor seconds an epoch."""
        measured = {space: round(each, 3) for space, each in seconds.items()}
        epochs = {space: max(self.fewest_epochs, count) for space, count in self.affordable(seconds).items()}
        return self.model_copy(update={"machine": machine, "seconds_per_epoch": measured, "epochs": epochs})
