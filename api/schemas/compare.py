"""Defines the schemas of a comparison. Lists of values are in the order of `jobs`."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.schemas.jobs import JobKind, Status

TableName = Literal["figures", "cells", "epochs", "spec"]


class CellFigures(BaseModel):
    """The kept edges of one kind of cell, by operation."""

    edges: int
    skip_connects: int = Field(description="identities in a recurrent cell")
    skip_share: float = Field(description="share of the kept edges, 0 to 1")
    parameter_free: int = Field(description="skip-connections and pools")


class ComparedJob(BaseModel):
    """One job's figures."""

    id: UUID
    kind: JobKind
    name: str | None
    status: Status
    status_reason: str | None
    family: str | None
    dataset: str | None
    seed: int | None
    epochs: int = Field(description="number of finished epochs")
    planned_epochs: int | None = Field(description="number of epochs of the complete job")
    genotype: str | None = Field(description="as Python text: a search's latest, or the one that an evaluation trains")
    cells: dict[str, CellFigures] = Field(description="by kind of cell")
    parameters: int | None = Field(
        description="for a search's cell, in the network that its data set's preset would train"
    )
    multiply_adds: int | None = Field(description="for one image, or one word")
    attempts: int
    gpus: int
    devices: list[str] = Field(description="of the workers that ran it")
    compute_seconds: float = Field(description="time from claim to end of all attempts, times `gpus`; includes CPUs")
    gpu_seconds: float = Field(description="the part of `compute_seconds` on GPUs")
    last: dict[str, float] | None = Field(description="metrics of the latest epoch")
    best: dict[str, float] | None = Field(description="the best epoch and its metrics")


class CellRow(BaseModel):
    """One kept edge of each job's cell. A node's edges are sorted by source, not by strength."""

    cell: str
    node: int
    edges: list[tuple[str, int] | None] = Field(description="operation and source; null if a job has none")
    same: bool = Field(description="whether all jobs have the same edge")


class EpochRow(BaseModel):
    """One epoch of all jobs."""

    epoch: int
    metrics: dict[str, list[float | None]] = Field(description="by name; null if a job has no such epoch or metric")


class Comparison(BaseModel):
    """Jobs side by side."""

    jobs: list[ComparedJob]
    cells: list[CellRow]
    epochs: list[EpochRow]
    spec: dict[str, list[Any]] = Field(description="the fields whose values differ")
