"""Defines the schemas of search spaces."""

from __future__ import annotations

from pydantic import BaseModel, Field


class SpaceOut(BaseModel):
    """A search space, as the `space` of a search's spec names it."""

    name: str
    title: str
    source: str
    summary: str
    family: str
    cells: list[str] = Field(description="the kinds of cells")
    nodes: int | None = Field(description="of a cell, where the space fixes them; null: those of the spec")
    outputs: int | None = Field(description="number of the last nodes that a cell puts out; null: all")
    primitives: list[str] = Field(description="the candidate operations, in the order of the alphas' columns")
    edges: dict[str, list[list[str]]] = Field(
        description="for kinds of cells whose edges differ the operations of each edge, by node and source; the others "
        "have all primitives on each edge"
    )
    edge_skips: bool = Field(
        description="whether each edge adds a skip-connection to its operations, also in a network that retrains a cell"
    )
    channels: int | None = Field(description="the default; null: the preset's")
    layers: int | None = Field(description="the default; null: the preset's")
    presets: list[str] = Field(description="the presets that the space has for itself")


class SpaceList(BaseModel):
    """All search spaces."""

    items: list[SpaceOut]
