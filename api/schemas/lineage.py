"""Defines the schemas of lineages."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

NodeType = Literal["dataset", "job", "cell", "checkpoint", "model"]


class LineageNode(BaseModel):
    """Something that was used or made."""

    id: str = Field(
        description="the UUID of a job, a checkpoint or a model's version; `dataset:NAME` or `dataset:NAME@CHECKSUM`; "
        "`cell:CHECKSUM`"
    )
    type: NodeType
    kind: str | None = Field(None, description="of a job")
    name: str | None = Field(description="of a model's version `NAME/NUMBER`")
    status: str | None = Field(None, description="of a job")
    epoch: int | None = Field(None, description="of a checkpoint")
    checksum: str | None = Field(
        description="SHA-256 of a data set or a file, of a job's spec and of a genotype as JSON; null "
        "of published images, which have none"
    )
    exists: bool = Field(True, description="false of a file or a job that was deleted, and is known from others alone")
    created_at: datetime | None = None


class LineageEdge(BaseModel):
    """`origin` was used for `result`, or made it."""

    origin: str
    result: str


class LineageOut(BaseModel):
    """What a node was made of and what was made of it. truncated: there is more than is shown."""

    start: str
    nodes: list[LineageNode]
    edges: list[LineageEdge]
    truncated: bool
