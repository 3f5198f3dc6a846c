"""Defines the schemas of searches."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas.jobs import JobFrame, Table
from darts_core.configs import RnnSearchConfig, SearchConfig


class SearchCreate(JobFrame, SearchConfig):
    """Request to search a cell. Omitted values come from the preset."""


class RnnSearchCreate(JobFrame, RnnSearchConfig):
    """Request to search a recurrent cell. Omitted values come from the preset."""


class _Alphas(BaseModel):
    epoch: int
    primitives: list[str]
    weights: dict[str, Table] = Field(description="softmax of each row")


class AlphasOut(_Alphas):
    """The alphas after an epoch: one row per edge, one column per primitive."""

    family: Literal["cnn"] = "cnn"
    normal: Table
    reduce: Table


class RecurrentAlphasOut(_Alphas):
    """The alphas of a recurrent cell after an epoch: one row per edge, one column per primitive."""

    family: Literal["rnn"]
    recurrent: Table


AnyAlphasOut = Annotated[AlphasOut | RecurrentAlphasOut, Field(discriminator="family")]


def alphas_out(epoch: int, primitives: list[str], alphas: dict[str, Any]) -> AnyAlphasOut:
    """Add the softmaxed weights to raw alphas, whose tables determine the family."""
    from darts_core.genotypes import softmax

    weights = {cell: [softmax(row) for row in table] for cell, table in alphas.items()}
    if "recurrent" in alphas:
        return RecurrentAlphasOut(family="rnn", epoch=epoch, primitives=primitives, weights=weights, **alphas)
    return AlphasOut(epoch=epoch, primitives=primitives, weights=weights, **alphas)
