"""Defines the schemas of studies: the protocol of DARTS (arXiv:1806.09055), section 3, as one job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.schemas.jobs import JobFrame
from darts_core.configs import RnnSearchConfig, SearchConfig
from darts_core.configs.evaluation import RetrainingConfig
from darts_core.configs.rnn_evaluation import RnnRetrainingConfig
from darts_core.configs.target import Target
from darts_core.primitives import Family, RnnSpace
from darts_core.spaces import CnnSpace

MOST_SEARCHES = 256
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Bound = Annotated[float, Field(allow_inf_nan=False)]
Whole = Annotated[int, Field(gt=-(2**53), lt=2**53)]
Seeds = Annotated[list[Seed], Field(min_length=1, max_length=64)]
_Optional = Annotated[str | None, Field(max_length=120)]
_Name = Annotated[str, Field(max_length=120)]


class PartialSearch(SearchConfig):
    """A search without its seed, which the study sets; the grid may set the data set."""

    dataset: _Optional = None  # type: ignore[assignment]


class RnnPartialSearch(RnnSearchConfig):
    """A search of recurrent cells without its seed."""

    dataset: _Optional = None  # type: ignore[assignment]


class PartialRetraining(RetrainingConfig):
    """A training of the found cell, by default on the search's data."""

    dataset: _Optional = None  # type: ignore[assignment]


class RnnPartialRetraining(RnnRetrainingConfig):
    """A training of the found recurrent cell, by default on the search's text."""

    dataset: _Optional = None  # type: ignore[assignment]


class _Grid(BaseModel):
    """Values to combine with each other, of these and any other fields of a search. Omitted ones keep its value."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[list[Any], Field(min_length=1, max_length=16)]]

    order: list[Literal[1, 2]] | None = Field(None, min_length=1, max_length=2)
    method: list[_Name] | None = Field(None, min_length=1, max_length=16)
    dataset: list[_Name] | None = Field(None, min_length=1, max_length=16)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for name, values in self._axes().items():
            if name == "seed":
                raise ValueError("seed: `seeds` has those of every point")
            if any(value in values[:place] for place, value in enumerate(values)):
                raise ValueError(f"{name}: each value may be given once")
        return self

    def _axes(self) -> dict[str, list[Any]]:
        return self.model_dump(mode="json", exclude_none=True)

    def points(self) -> Iterator[dict[str, Any]]:
        """Every combination; a single one without values for an empty grid."""
        axes = self._axes()
        for values in product(*axes.values()):
            yield dict(zip(axes, values, strict=True))


class Grid(_Grid):
    """The grid of a study of convolutional cells."""

    space: list[CnnSpace] | None = Field(None, min_length=1, max_length=16)
    target: list[Annotated[Target, Field(min_length=1)]] | None = Field(
        None, min_length=1, max_length=16, description="such as several weights, for a curve of accuracy against cost"
    )


class RnnGrid(_Grid):
    """The grid of a study of recurrent cells."""

    space: list[RnnSpace] | None = Field(None, min_length=1, max_length=16)


class Distribution(BaseModel):
    """Where a sampled value comes from: one of these."""

    model_config = ConfigDict(extra="forbid")

    uniform: tuple[Bound, Bound] | None = Field(None, description="the least and the largest real number")
    log_uniform: tuple[Bound, Bound] | None = Field(None, description="of which the logarithm is uniform")
    integer: Annotated[list[Whole], Field(min_length=2, max_length=3)] | None = Field(
        None, description="the least, the largest and, if not 1, the distance of two neighbours"
    )
    choice: Annotated[list[Any], Field(min_length=1, max_length=64)] | None = Field(None, description="any values")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        given = self.model_dump(exclude_none=True)
        if len(given) != 1:
            raise ValueError("give one of uniform, log_uniform, integer and choice")
        [(name, of)] = given.items()
        if name == "choice":
            texts = [json.dumps(value, sort_keys=True) for value in of]
            if len(set(texts)) != len(texts):
                raise ValueError("choice: each value may be given once")
            return self
        least, largest, *step = of
        if least >= largest:
            raise ValueError(f"{name}: the least value, {least}, is not below the largest, {largest}")
        if name == "log_uniform" and least <= 0:
            raise ValueError(f"log_uniform: the least value, {least}, is not above 0")
        if step and (step[0] < 1 or (largest - least) % step[0]):
            raise ValueError(f"integer: no steps of {step[0]} lead from {least} to {largest}")
        return self

    @property
    def edges(self) -> list[Any]:
        """The outermost values; all of a choice."""
        return self.choice or list((self.uniform or self.log_uniform or self.integer or [])[:2])


class Sample(BaseModel):
    """Points whose values are drawn, each once the values of earlier ones are known."""

    model_config = ConfigDict(extra="forbid")

    over: dict[_Name, Distribution] = Field(
        min_length=1,
        max_length=16,
        description="fields of the search but `seed` and `dataset`, with their distributions",
    )
    trials: int = Field(ge=1, le=MOST_SEARCHES, description="points in all")
    sampler: Literal["tpe", "random"] = Field(
        "tpe", description="`tpe`: the tree-structured Parzen estimator, which learns from the points before"
    )
    at_once: int = Field(4, ge=1, le=64, description="points whose value is awaited at the same time")
    seed: Seed = 0

    @model_validator(mode="after")
    def _names(self) -> Self:
        if "seed" in self.over:
            raise ValueError("over.seed: `seeds` has those of every point")
        if "dataset" in self.over:
            raise ValueError("over.dataset: figures of different data sets do not compare")
        return self


class Asha(BaseModel):
    """Asynchronous successive halving: Li et al. 2020 (arXiv:1810.05934), section 3.2."""

    model_config = ConfigDict(extra="forbid")

    eta: int = Field(3, ge=2, le=64, description="the best 1/eta of each rung go on")
    min_epochs: int = Field(1, ge=1, le=100_000, description="the first rung; each further one has eta times as many")
    max_epochs: int = Field(ge=1, le=100_000, description="epochs of a search that is promoted to the end")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_epochs > self.max_epochs:
            raise ValueError(f"min_epochs: {self.min_epochs} is more than max_epochs, {self.max_epochs}")
        return self


class Strategy(BaseModel):
    """Which searches of a study go on."""

    model_config = ConfigDict(extra="forbid")

    asha: Asha


class _Study(JobFrame):
    """The fields of both families' studies. Every child inherits the JobFrame."""

    seeds: Seeds = Field([0, 1, 2, 3], description="seeds of the searches")
    final_runs: int = Field(
        3, ge=1, le=100, description="trainings of the chosen cell, with consecutive seeds from `final.seed`"
    )
    enough: int | None = Field(
        None, ge=1, description="candidates that must succeed at each point; default: half of them"
    )
    enough_final: int | None = Field(
        None, ge=1, description="final runs that must succeed at each point; default: half of them"
    )

    strategy: Strategy | None = Field(
        None, description="searches of all points and seeds pause at rungs, and the best go on; default: all train on"
    )

    sample: Sample | None = Field(None, description="draws the values of points, in place of a grid; needs Optuna")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.strategy is not None and self.enough is not None:
            raise ValueError("enough: a strategy decides how many searches end; leave it out")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: each seed may be given once")
        for name, most in (("enough", len(self.seeds)), ("enough_final", self.final_runs)):
            if (value := getattr(self, name)) is not None and value > most:
                raise ValueError(f"{name}: {value} cannot succeed, there are {most}")
        return self


class StudyCreate(_Study):
    """Request for a study of convolutional cells."""

    family: Literal["cnn"] = "cnn"
    search: PartialSearch
    short_retrain: PartialRetraining = Field(
        default_factory=PartialRetraining,
        description="the training that ranks candidates on validation data; default: the data set's `-short` preset",
    )
    final: PartialRetraining = Field(default_factory=PartialRetraining, description="what is reported")
    grid: Grid = Field(default_factory=Grid)


class RnnStudyCreate(_Study):
    """Request for a study of recurrent cells."""

    family: Literal["rnn"]
    search: RnnPartialSearch
    short_retrain: RnnPartialRetraining = Field(
        default_factory=RnnPartialRetraining,
        description="the training that ranks candidates on validation text; default: the text's `-short` preset",
    )
    final: RnnPartialRetraining = Field(default_factory=RnnPartialRetraining, description="what is reported")
    grid: RnnGrid = Field(default_factory=RnnGrid)


class StudyPoint(BaseModel):
    """One point of the grid. search: without its seed. short_retrain, final: without their genotype."""

    values: dict[str, Any]
    search: dict[str, Any]
    short_retrain: dict[str, Any]
    final: dict[str, Any]


class SampleSpec(Sample):
    """A sample with the parts of the request from which its points are made."""

    parts: dict[str, Any]


class StudySpec(BaseModel):
    """A study with all values of every child resolved; of a sampled one, of the points drawn so far."""

    family: Family
    dataset: str = Field(description="the searches' data set; several for a grid")
    seeds: list[int]
    final_runs: int
    enough: int
    enough_final: int
    points: list[StudyPoint]
    sample: SampleSpec | None = None
    strategy: Strategy | None = None
