"""Reads and writes the protocol of the oracle: one budget for all methods, as epochs that are fixed beforehand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmarks.oracle.table import TableName
from client.errors import DartboardError
from darts_core.configs import SearchConfig
from darts_core.configs.method_fields import MethodName
from darts_core.configs.methods import METHODS

PROTOCOLS: Final = Path(__file__).parents[1] / "protocols"
CPU: Final = PROTOCOLS / "oracle-cpu.json"


class ProtocolError(DartboardError):
    """The protocol cannot be read, or lacks a method."""


class Protocol(BaseModel):
    """How all methods are compared.

    spec: fields of every search besides method, seed, epochs and data set. budget_seconds: processor seconds of a
    search. seconds_per_epoch: as measured by the calibration. epochs: of each method's searches. most_epochs: the
    limit for methods whose epochs are short.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: Literal["cpu", "cuda"] = "cpu"
    table: TableName = "cifar10"
    budget_seconds: float = Field(gt=0)
    seeds: int = Field(ge=1)
    most_epochs: int = Field(500, ge=1)
    spec: dict[str, Any]
    machine: str = ""
    seconds_per_epoch: dict[MethodName, float] = Field(default_factory=dict)
    epochs: dict[MethodName, int] = Field(default_factory=dict)

    def search(self, method: MethodName, seed: int, dataset: str, epochs: int | None = None) -> SearchConfig:
        """The resolved spec of one search. Raises ProtocolError for a method without epochs, ConfigError."""
        if METHODS[method].trains and epochs is None and method not in self.epochs:
            raise ProtocolError(f"the protocol has no epochs for {method}: calibrate it first (--calibrate)")
        given = {**self.spec, "space": "nasbench201", "method": method, "seed": seed, "dataset": dataset}
        return SearchConfig(**given, epochs=epochs or self.epochs.get(method, 1)).resolved()

    def calibrated(self, seconds: Mapping[MethodName, float], machine: str) -> Protocol:
        """The protocol with the epochs that fit the budget at these processor seconds an epoch; at least one."""
        epochs = {m: max(1, min(self.most_epochs, int(self.budget_seconds / each))) for m, each in seconds.items()}
        return self.model_copy(
            update={
                "machine": machine,
                "seconds_per_epoch": {**self.seconds_per_epoch, **{m: round(each, 3) for m, each in seconds.items()}},
                "epochs": {**self.epochs, **epochs},
            }
        )

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(self.model_dump(), indent=2) + "\n")


def load_protocol(path: Path) -> Protocol:
    """Read a protocol. Raises ProtocolError."""
    try:
        return Protocol.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise ProtocolError(f"{path} is not a protocol of the oracle: {error}") from error


def searched() -> list[MethodName]:
    """The methods that search in NAS-Bench-201's space, whose depth is fixed."""
    return [name for name, method in METHODS.items() if "cnn" in method.families and not method.changes_depth]


def selectable() -> list[MethodName]:
    """Those of them whose supernets a selection by perturbation can follow: with alphas and in a single stage."""
    methods = ((name, METHODS[name]) for name in searched())
    return [name for name, method in methods if method.trains_alphas and "stage_operations" not in method.fields]
