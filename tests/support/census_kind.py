"""A seventh kind of job, as a file of api/kinds would have it: how many images a data set has."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, Field

from api.kinds.kind import Form, Kind, References, Resolved, Retention
from api.schemas.jobs import JobFrame, JobKind
from darts_core.errors import ConfigError, Problem
from darts_core.families import CNN, Objective

CENSUS: Final = JobKind.declare("census")


class CensusCreate(JobFrame):
    dataset: str = Field(max_length=120)
    part: Literal["train", "test"] = "test"


class CensusSpec(BaseModel):
    family: Literal["cnn"] = "cnn"
    dataset: str
    part: str
    epochs: Literal[1] = 1


class CensusResult(BaseModel):
    images: int = Field(ge=0)


async def _resolve(body: CensusCreate, references: References) -> Resolved:
    """Queue a census."""
    await references.datasets.info_for(CNN, body.dataset)
    if body.gpus > 1:
        raise ConfigError([Problem(("gpus",), "a census needs none")])
    return Resolved(CensusSpec(dataset=body.dataset, part=body.part))


KIND: Final = Kind(
    name=CENSUS,
    requests={"": CensusCreate},
    resolve=_resolve,
    objective=lambda spec: Objective("images", "max"),
    retention=Retention.ALL,
    leaves=("census.json",),
    links={"presets": "presets"},
    actions=("cancel", "delete"),
    result=CensusResult,
    form=Form(submit="Count", first={"": ("dataset", "part")}),
)
