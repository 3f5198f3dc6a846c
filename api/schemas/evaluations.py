"""Defines the schemas of evaluations."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from api.schemas.jobs import JobFrame
from darts_core.configs.evaluation import RetrainingConfig
from darts_core.configs.rnn_evaluation import RnnRetrainingConfig


class _FromSearchOrGenotype(BaseModel):
    # Optional, since a search determines its data set.
    dataset: str | None = Field(None, max_length=120, description="by default the search's")
    search_id: UUID | None = Field(None, description="take the cell that this search found")
    epoch: int | None = Field(None, ge=1, lt=2**31, description="of the search; by default its latest")
    genotype: str | dict[str, Any] | None = Field(
        None,
        description="instead of a search: a known name, Python text, JSON or mmrazor YAML; `random` draws one",
        examples=["DARTS_V2"],
    )
    genotype_seed: int | None = Field(None, ge=0, lt=2**31, description="seed of `genotype: random`; default: `seed`")


class EvaluationCreate(_FromSearchOrGenotype, JobFrame, RetrainingConfig):
    """Request to train a cell from scratch: that of a search, or a given genotype."""


class RnnEvaluationCreate(_FromSearchOrGenotype, JobFrame, RnnRetrainingConfig):
    """Request to train a recurrent cell from scratch: that of a search, or a given genotype."""

    genotype: str | dict[str, Any] | None = Field(
        None,
        description="instead of a search: a known name, Python text or JSON; `random` draws one",
        examples=["DARTS_V2"],
    )
