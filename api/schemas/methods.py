"""Defines the schemas of search methods."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from darts_core.primitives import Family


class MethodFieldOut(BaseModel):
    """A field of a search's spec that belongs to the method."""

    name: str
    description: str
    default: int | float | str | None = Field(description="null: follows from other values, by `rule`")
    rule: str | None = Field(description="the rule of the default in words")


class PublishedOut(BaseModel):
    """A figure that the method's authors report."""

    figure: str
    source: str


class MethodOut(BaseModel):
    """A search method, as the `method` of a search's spec names it."""

    name: str
    title: str
    source: str
    summary: str
    cost: str = Field(description="of a step, against first-order `darts`")
    families: list[Family]
    orders: list[int]
    most_gpus: int | None = Field(description="null: no limit")
    levels: Literal["both", "one"] = Field(
        description="`both`: the alphas are trained on data of their own; `one`: on the batches of the weights"
    )
    trains: bool
    targets: bool = Field(description="whether a search's `target` applies")
    trains_alphas: bool
    fields: list[MethodFieldOut]
    defaults: dict[str, float] = Field(
        description="values of other fields of a search that the method starts from in place of its preset's"
    )
    published: list[PublishedOut]


class MethodList(BaseModel):
    """All search methods."""

    items: list[MethodOut]
