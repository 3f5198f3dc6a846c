"""Describes a family of networks: its data, specs, presets, cells and metrics. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from pydantic import BaseModel

from darts_core.configs.common import RunConfig
from darts_core.genotypes import AnyGenotype
from darts_core.presets.cnn import Presets
from darts_core.spaces import Space

Spec = Mapping[str, Any]


@dataclass(frozen=True)
class Objective:
    """The metric that ranks epochs and jobs, and whether the highest or the lowest value of it is best."""

    metric: str
    direction: Literal["max", "min"]

    def is_better(self, value: float, than: float) -> bool:
        """Whether one value of the metric beats another."""
        return value > than if self.direction == "max" else value < than


@dataclass(frozen=True)
class NetworkFamily:
    """One object for everything that differs between families.

    data: the kind of data set that its networks read. data_fields: fields of a spec that name the edition of its data
    set, the checksum first. example: a data set that is always there. selection: the objective that chooses epochs and
    cells, on validation data; reporting: the one that measures the chosen ones, on test data. unit: of both metrics.
    outputs: the field of a checkpoint that names what its network tells apart. checkpoint_fields: those that only
    checkpoints of this family have. scoring: the fields of a request for a measurement. measured: the classes of the
    specs of scores and ensembles. selections: the classes of the specs of searches that select a cell of an earlier
    one's supernet, by the value of `select`; their runners are those of `select-VALUE`. uploaded_checksum: of the
    uploaded data set that a spec names, if any. cells: the kinds of cells of the default space. has_validation: whether
    a training on a data set of this info has validation data. stored: completes a genotype's JSON form; raises
    GenotypeError. runners: the functions of darts_core that run each kind of job, as `module:function`.
    """

    name: str
    data: Literal["images", "text"]
    data_fields: tuple[str, ...]
    example: str
    selection: Objective
    reporting: Objective
    unit: str
    outputs: Literal["classes", "vocabulary"]
    checkpoint_fields: frozenset[str]
    cells: tuple[str, ...]
    spaces: Mapping[str, Space]
    default_space: str
    known: Mapping[str, AnyGenotype]
    search: type[RunConfig]
    retraining: type[RunConfig]
    evaluation: type[RunConfig]
    scoring: type[BaseModel]
    measured: Mapping[str, type[BaseModel]]
    search_presets: Presets
    evaluation_presets: Presets
    preset_of: Callable[[str, Collection[str]], str]
    uploaded_checksum: Callable[[Spec], str | None]
    has_validation: Callable[[Spec, Any], bool]
    stored: Callable[[str | dict[str, Any]], dict[str, Any]]
    to_json: Callable[[Any], dict[str, Any]]
    runners: Mapping[str, str]
    selections: Mapping[str, type[RunConfig]] = field(default_factory=dict)

    @property
    def checksum_field(self) -> str:
        """The field of a spec that holds its data set's checksum."""
        return self.data_fields[0]

    def cells_of(self, spec: Spec) -> tuple[str, ...]:
        """The kinds of cells that a search of this spec finds."""
        space = self.spaces.get(str(spec.get("space")))
        return self.cells if space is None else space.cells

    def retraining_of(self, search: Spec) -> dict[str, Any]:
        """The fields of a retraining that follow from the space of the search whose cell it trains."""
        space = self.spaces.get(str(search.get("space")))
        return {"edge_skips": True} if space is not None and space.edge_skips else {}

    def config(self, kind: str, spec: Spec | None = None) -> type[RunConfig]:
        """The class of the specs of a training job, a search or an evaluation. spec: to tell selections by."""
        if kind == "search" and spec is not None and spec.get("select") in self.selections:
            return self.selections[spec["select"]]
        return self.search if kind == "search" else self.evaluation

    def presets(self, kind: str) -> Presets:
        """The presets of a training job, a search or an evaluation."""
        return self.search_presets if kind == "search" else self.evaluation_presets

    def own_data(self, spec: Spec) -> dict[str, Any]:
        """The fields that say exactly which data a spec uses, whatever the data set's name has come to mean since."""
        return {name: spec[name] for name in self.data_fields if name in spec}

    def run(self, kind: str, *args: Any, **options: Any) -> Iterator[Any]:
        """Run a job of this kind: the reports of its epochs. Imports torch."""
        module, _, function = self.runners[kind].partition(":")
        reports: Iterator[Any] = getattr(import_module(module), function)(*args, **options)
        return reports
