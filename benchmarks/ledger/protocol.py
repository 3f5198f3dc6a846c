"""Reads and writes a protocol: one budget for all searches, as epochs that are fixed beforehand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from benchmarks.oracle.table import TableName
from client.errors import DartboardError
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.configs.methods import METHODS
from darts_core.configs.selection import PerturbationConfig, interval_field, perturbation_of
from darts_core.genotypes import Genotype, to_json
from darts_core.spaces import CnnSpace
from darts_core.spaces.nasbench201 import NAME as NASBENCH201

BASELINE: Final[MethodName] = "random"
PROTOCOLS: Final = Path(__file__).parents[1] / "protocols"
CPU: Final = PROTOCOLS / "oracle-cpu.json"


class ProtocolError(DartboardError):
    """The protocol cannot be read, or lacks a method."""


Compared = TypeVar("Compared", bound=str)
AnyProtocol = TypeVar("AnyProtocol", bound=BaseModel)


class Budget(BaseModel):
    """What all protocols of searches on images have.

    dataset: the images in words, with their number: "1,437 training images". table: of the accuracies of
    NAS-Bench-201's cells. budget_seconds: processor seconds of a search. most_epochs: the limit where epochs are short.
    spec: fields of every search. deviations: from the published protocols, a sentence each. machine: of the
    calibration.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: Literal["cpu", "cuda"] = "cpu"
    dataset: str = ""
    table: TableName = "cifar10"
    budget_seconds: float = Field(gt=0)
    seeds: int = Field(ge=1)
    most_epochs: int = Field(500, ge=1)
    spec: dict[str, Any]
    deviations: list[str] = Field(default_factory=list)
    machine: str = ""

    def affordable(self, seconds: Mapping[Compared, float]) -> dict[Compared, int]:
        """The epochs that fit the budget at these processor seconds an epoch; at least one."""
        return {name: max(1, min(self.most_epochs, int(self.budget_seconds / each))) for name, each in seconds.items()}

    @property
    def training_images(self) -> int:
        """Their number, out of the words. Raises ProtocolError for words without one."""
        found = re.search(r"([\d,]+) training", self.dataset)
        if found is None:
            raise ProtocolError(f"the protocol does not say how many images it trains on: {self.dataset!r}")
        return int(found[1].replace(",", ""))

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(self.model_dump(), indent=2) + "\n")


class Protocol(Budget):
    """How all methods are compared.

    methods: by default all that search in NAS-Bench-201's space. spec: besides method, seed, epochs and data set.
    retraining: fields of the training that tells a found cell's accuracy, besides genotype, seed and data set; None in
    NAS-Bench-201's space, where `table` tells it. controls: random cells of its size, retrained beside each found cell.
    seconds_per_epoch: as measured by the calibration. epochs: of each method's searches. selection_interval: of
    selections, whose cost comes on top of the budget.
    """

    methods: list[MethodName] = Field(default_factory=lambda: searched(), min_length=1)
    space: CnnSpace = NASBENCH201
    selection_interval: int = interval_field()
    retraining: dict[str, Any] | None = None
    controls: int = Field(0, ge=0)
    seconds_per_epoch: dict[MethodName, float] = Field(default_factory=dict)
    epochs: dict[MethodName, int] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.retraining is None) != (self.space == NASBENCH201):
            raise ValueError("retraining belongs to every space but nasbench201, whose table has the accuracies")
        if self.controls and self.retraining is None:
            raise ValueError("controls are retrained: the table knows all cells of a size")
        return self

    def method(self, name: str) -> MethodName:
        """The protocol's method of this name. Raises ProtocolError."""
        for method in self.methods:
            if method == name:
                return method
        raise ProtocolError(f"the protocol has no method {name!r}; it has {', '.join(self.methods)}")

    def search(self, method: MethodName, seed: int, dataset: str, epochs: int | None = None) -> SearchConfig:
        """The resolved spec of one search. Raises ProtocolError for a method without epochs, ConfigError."""
        if METHODS[method].trains and epochs is None and method not in self.epochs:
            raise ProtocolError(f"the protocol has no epochs for {method}: calibrate it first (--calibrate)")
        given = {**self.spec, "space": self.space, "method": method, "seed": seed, "dataset": dataset}
        return SearchConfig(**given, epochs=epochs or self.epochs.get(method, 1)).resolved()

    def firsts(self, dataset: str) -> list[SearchConfig]:
        """The resolved specs of the first search of each method."""
        return [self.search(method, 0, dataset) for method in self.methods]

    def evaluation(self, cell: Genotype, seed: int, dataset: str) -> EvaluationConfig:
        """The resolved spec of the retraining of a cell. Raises ConfigError."""
        assert self.retraining is not None
        given = {**self.retraining, "genotype": to_json(cell), "seed": seed, "dataset": dataset}
        return EvaluationConfig(**given).resolved()

    def selection(self, search: SearchConfig, epoch: int) -> PerturbationConfig:
        """The spec of the selection that follows this epoch of a search. Raises ConfigError for a method without
        alphas or with stages.
        """
        return perturbation_of(search, epoch, {"select": "perturbation", "selection_interval": self.selection_interval})

    def within(self, budget_seconds: float) -> Protocol:
        """The protocol with another budget, and the epochs that fit it."""
        other = self.model_copy(update={"budget_seconds": budget_seconds})
        return other.model_copy(update={"epochs": other.affordable(self.seconds_per_epoch)})

    def calibrated(self, seconds: Mapping[MethodName, float], machine: str) -> Protocol:
        """The protocol with the epochs that fit the budget at these processor seconds an epoch."""
        return self.model_copy(
            update={
                "machine": machine,
                "seconds_per_epoch": {**self.seconds_per_epoch, **{m: round(each, 3) for m, each in seconds.items()}},
                "epochs": {**self.epochs, **self.affordable(seconds)},
            }
        )


def load_protocol(path: Path) -> Protocol:
    """Read a protocol of methods. Raises ProtocolError."""
    return read(Protocol, path)


def read(kind: type[AnyProtocol], path: Path) -> AnyProtocol:
    """Read a protocol of this kind. Raises ProtocolError."""
    try:
        return kind.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise ProtocolError(f"{path} is not a protocol: {error}") from error


def searched() -> list[MethodName]:
    """The methods that search in NAS-Bench-201's space, whose depth is fixed."""
    return [name for name, method in METHODS.items() if "cnn" in method.families and not method.changes_depth]


def selectable() -> list[MethodName]:
    """Those of them whose supernets a selection by perturbation can follow: with alphas and in a single stage."""
    methods = ((name, METHODS[name]) for name in searched())
    return [name for name, method in methods if method.trains_alphas and "stage_operations" not in method.fields]
