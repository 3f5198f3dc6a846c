"""Searches on the wire."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from api.schemas.jobs import JobFrame, Table
from darts_core.configs import SearchConfig
from darts_core.data.catalogue import DatasetInfo


class SearchCreate(JobFrame, SearchConfig):
    """Ask for a search. Values left out come from the preset."""

    def config(self, info: DatasetInfo | None) -> SearchConfig:
        """The spec alone, resolved. info: of an uploaded data set. Raises ConfigError."""
        given = {k: v for k, v in self.given().items() if k in SearchConfig.model_fields}
        return SearchConfig(**given).resolved(info)


class AlphasOut(BaseModel):
    """The alphas after an epoch: one row an edge, one column a primitive."""

    epoch: int
    primitives: list[str]
    normal: Table
    reduce: Table
    weights: dict[str, Table] = Field(description="softmax of each row")

    @classmethod
    def of(cls, epoch: int, primitives: list[str], alphas: dict[str, Any]) -> AlphasOut:
        """Add the softmaxed weights to raw alphas."""
        from darts_core.genotypes import softmax

        weights = {cell: [softmax(row) for row in table] for cell, table in alphas.items()}
        return cls(epoch=epoch, primitives=primitives, weights=weights, **alphas)
