"""Defines the schemas of committees: searches in several spaces, trainings of their cells and an ensemble, as
one job.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from api.schemas.ensembles import Ensembling
from api.schemas.jobs import JobFrame
from api.schemas.studies import (
    PartialRetraining,
    PartialSearch,
    RnnPartialRetraining,
    RnnPartialSearch,
    Seeds,
)
from darts_core.configs.ensemble import MOST_MEMBERS
from darts_core.primitives import Family, RnnSpace
from darts_core.spaces import CnnSpace


class _Committee(JobFrame):
    """The fields of both families' committees. Every child inherits the JobFrame."""

    seeds: Seeds = Field([0], description="seeds of the searches in each space")
    ensemble: Ensembling = Field(default_factory=Ensembling, description="how the members are combined")
    enough: int | None = Field(None, ge=2, description="members that must succeed; default: half of them, at least two")

    @property
    def names(self) -> list[str]:
        raise NotImplementedError

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: each seed may be given once")
        if len(set(self.names)) != len(self.names):
            raise ValueError("spaces: each space may be given once")
        members = len(self.names) * len(self.seeds)
        if not 2 <= members <= MOST_MEMBERS:
            raise ValueError(f"spaces times seeds are {members} members; expected 2 to {MOST_MEMBERS}")
        if self.enough is not None and self.enough > members:
            raise ValueError(f"enough: {self.enough} cannot succeed, there are {members}")
        return self


class CommitteeCreate(_Committee):
    """Request for a committee of convolutional cells."""

    family: Literal["cnn"] = "cnn"
    spaces: list[CnnSpace] = Field(["space1", "space2", "space3"], min_length=1, max_length=16)
    search: PartialSearch
    evaluation: PartialRetraining = Field(default_factory=PartialRetraining)

    @property
    def names(self) -> list[str]:
        return list(self.spaces)


class RnnCommitteeCreate(_Committee):
    """Request for a committee of language models."""

    family: Literal["rnn"]
    spaces: list[RnnSpace] = Field(["rnn", "rnn_space1"], min_length=1, max_length=16)
    search: RnnPartialSearch
    evaluation: RnnPartialRetraining = Field(default_factory=RnnPartialRetraining)

    @property
    def names(self) -> list[str]:
        return list(self.spaces)


class CommitteePoint(BaseModel):
    """One space. search: without its seed. evaluation: without its genotype."""

    values: dict[str, Any]
    search: dict[str, Any]
    evaluation: dict[str, Any]


class CommitteeSpec(BaseModel):
    """A committee with all values of every training resolved. ensemble: as in the request."""

    family: Family
    dataset: str
    seeds: list[int]
    enough: int
    points: list[CommitteePoint]
    ensemble: dict[str, Any]
