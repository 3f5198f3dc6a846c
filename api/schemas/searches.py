"""Defines the schemas of searches."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Discriminator, Field, Tag

from api.schemas.families import space_or_family
from api.schemas.jobs import JobFrame, Table
from darts_core.configs import RnnSearchConfig, SearchConfig
from darts_core.configs.selection import criterion_field, interval_field


class SearchCreate(JobFrame, SearchConfig):
    """Request to search a cell. Omitted values come from the preset."""


class RnnSearchCreate(JobFrame, RnnSearchConfig):
    """Request to search a recurrent cell. Omitted values come from the preset."""


class SelectionCreate(JobFrame, SearchConfig):
    """Request to select a cell of an earlier search's supernet. The other fields are the search's."""

    dataset: str | None = Field(None, max_length=120, description="the search's")  # type: ignore[assignment]
    select: Literal["perturbation"] = Field(description="how: by removing single operations from the trained supernet")
    search_id: UUID = Field(description="the search, which must have succeeded; it is kept as it is")
    selection_interval: int = interval_field()
    selection_criterion: Literal["accuracy", "loss"] = criterion_field()


_EDGES: Any = Field(None, description="alphas of whole edges, of a method that has them")


class _Alphas(BaseModel):
    epoch: int
    primitives: list[str]
    weights: dict[str, Table] = Field(
        description="the operation strengths by cell, which the method makes of the alphas: for `darts` the softmax of "
        "each row"
    )


class AlphasOut(_Alphas):
    """The alphas after an epoch: one row per edge, one column per primitive."""

    family: Literal["cnn"] = "cnn"
    normal: Table
    reduce: Table
    normal_edges: Table | None = _EDGES
    reduce_edges: Table | None = _EDGES


class NasBench201AlphasOut(_Alphas):
    """The alphas of a cell of NAS-Bench-201 after an epoch: one row per edge, one column per primitive."""

    family: Literal["cnn"] = "cnn"
    space: Literal["nasbench201"] = "nasbench201"
    cell: Table
    cell_edges: Table | None = _EDGES


class RecurrentAlphasOut(_Alphas):
    """The alphas of a recurrent cell after an epoch: one row per edge, one column per primitive."""

    family: Literal["rnn"]
    recurrent: Table
    recurrent_edges: Table | None = _EDGES


AnyAlphasOut = Annotated[
    Annotated[AlphasOut, Tag("cnn")]
    | Annotated[NasBench201AlphasOut, Tag("nasbench201")]
    | Annotated[RecurrentAlphasOut, Tag("rnn")],
    Discriminator(space_or_family),
]


def alphas_out(epoch: int, primitives: list[str], alphas: dict[str, Any], strengths: dict[str, Table]) -> AnyAlphasOut:
    """The response with raw alphas, whose tables determine the family, and operation strengths."""
    if "recurrent" in alphas:
        return RecurrentAlphasOut(family="rnn", epoch=epoch, primitives=primitives, weights=strengths, **alphas)
    if "cell" in alphas:
        return NasBench201AlphasOut(epoch=epoch, primitives=primitives, weights=strengths, **alphas)
    return AlphasOut(epoch=epoch, primitives=primitives, weights=strengths, **alphas)
