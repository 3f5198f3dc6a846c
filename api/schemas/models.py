"""Defines the schemas of registered models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.jobs import Line
from api.schemas.scores import WhichEpoch
from darts_core.primitives import Family

ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,99}$")]
# A version's number, its stage, or `latest`.
WhichVersion = Annotated[str, StringConstraints(pattern=r"^([1-9][0-9]{0,8}|[a-z][a-z0-9_-]{0,39})$")]
LATEST = "latest"


def _is_label(stage: str) -> str:
    if stage == LATEST:
        raise ValueError(f"{LATEST} names the newest version: choose another label")
    return stage


StageLabel = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$"), AfterValidator(_is_label)]


class NamedCheckpoint(BaseModel):
    """Exactly one of the ids."""

    checkpoint_id: UUID | None = Field(None, description="of an uploaded file, or of a job's")
    evaluation_id: UUID | None = None
    search_id: UUID | None = Field(None, description="its last network with its alphas")
    epoch: WhichEpoch | None = Field(None, description="of an evaluation or a search: best, last or a number")


class ModelVersionCreate(NamedCheckpoint):
    """A checkpoint that becomes a version of a model."""

    model_config = ConfigDict(extra="forbid")

    name: ModelName = Field(description="of the model: letters, digits, '_', '.' and '-'; a new one is created")
    stage: StageLabel | None = Field(None, description="a label such as `staging`, which one version has at a time")
    note: Line | None = None


class ModelVersionPatch(BaseModel):
    """The fields that can change. A stage of null takes the label away."""

    model_config = ConfigDict(extra="forbid")

    stage: StageLabel | None = None
    note: Line | None = None


class ModelVersionOut(BaseModel):
    """A version of a model, and the checkpoint that it keeps from deletion."""

    id: UUID
    model: str
    version: int
    stage: str | None
    note: str | None
    owner: str | None
    checkpoint_id: UUID
    job_id: UUID | None = Field(description="that saved the checkpoint; null of an uploaded one")
    epoch: int | None
    sha256: str
    size: int
    metrics: dict[str, float] = Field(description="of the checkpoint's epoch; empty of an uploaded one")
    created_at: datetime
    links: dict[str, str]


class ModelOut(BaseModel):
    """A named model. stages: the version that has each label."""

    name: str
    owner: str | None
    family: Family
    versions: int = Field(description="how many there are")
    latest: int | None = Field(description="the newest one's number")
    stages: dict[str, int]
    created_at: datetime


class ModelList(BaseModel):
    """Models in alphabetical order."""

    items: list[ModelOut]


class ModelDetail(ModelOut):
    """A model with its versions, newest first."""

    items: list[ModelVersionOut]
