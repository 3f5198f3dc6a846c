"""A comparison of jobs on the wire. Lists of values are in the order of `jobs`."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.schemas.jobs import JobKind, Status

TableName = Literal["figures", "cells", "epochs", "spec"]


class CellFigures(BaseModel):
    """Of one kind of cell: how many edges it kept, and what is on them."""

    edges: int
    skip_connects: int = Field(description="of a recurrent cell: identities")
    skip_share: float = Field(description="of the kept edges, 0 to 1")
    parameter_free: int = Field(description="skip-connections and pools")


class ComparedJob(BaseModel):
    """One job in figures."""

    id: UUID
    kind: JobKind
    name: str | None
    status: Status
    status_reason: str | None
    family: str | None
    dataset: str | None
    seed: int | None
    epochs: int = Field(description="that have ended")
    planned_epochs: int | None = Field(description="with which the job is done")
    genotype: str | None = Field(description="as Python text: of a search its latest, of an evaluation what it trains")
    cells: dict[str, CellFigures] = Field(description="by the kind of cell")
    parameters: int | None = Field(description="of a search's cell those that its data set's preset would train")
    multiply_adds: int | None = Field(description="for one image, or one word")
    attempts: int
    gpus: int
    devices: list[str] = Field(description="of the workers that ran it")
    compute_seconds: float = Field(description="time from claim to end of all attempts, times `gpus`: on a CPU, too")
    gpu_seconds: float = Field(description="the part of them that passed on GPUs")
    last: dict[str, float] | None = Field(description="metrics of the latest epoch")
    best: dict[str, float] | None = Field(description="the best epoch and its metrics")


class CellRow(BaseModel):
    """One kept edge of each job's cell. A node's edges are in the order of their sources, not of their strength."""

    cell: str
    node: int
    edges: list[tuple[str, int] | None] = Field(description="operation and source; null where a job has none such")
    same: bool = Field(description="whether all jobs have this edge alike")


class EpochRow(BaseModel):
    """One epoch of all jobs."""

    epoch: int
    metrics: dict[str, list[float | None]] = Field(description="by name; null where a job has no such epoch or metric")


class Comparison(BaseModel):
    """Jobs beside each other."""

    jobs: list[ComparedJob]
    cells: list[CellRow]
    epochs: list[EpochRow]
    spec: dict[str, list[Any]] = Field(description="the fields whose values are not the same everywhere")
