"""Defines the schemas of advice, and of the ledger's rows on which it rests."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from darts_core.configs.method_fields import MethodName
from darts_core.spaces import CnnSpace

Verdict = Literal["", "better than random", "worse than random", "not distinguishable from random"]


class IntervalOut(BaseModel):
    """A mean difference in points of accuracy, and the ends of its 95 % bootstrap interval over the seeds."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


class LedgerRow(BaseModel):
    """A method's searches in a ledger of `dartboard bench ledger`: the accuracy of the cells that they found."""

    protocol: str = Field(description="the name of the protocol's file in benchmarks/protocols")
    dataset: str = Field(description="the images in words")
    training_images: int
    device: Literal["cpu", "cuda"]
    space: CnnSpace
    method: MethodName
    order: Literal[1, 2]
    channels: int
    layers: int
    epochs: int
    seeds: int
    budget_seconds: float = Field(description="processor seconds that the protocol grants a search")
    seconds: float = Field(description="processor seconds of a search, the mean of the seeds")
    accuracy_of: str = Field(description="how the accuracy of a found cell is known")
    accuracy: float = Field(description="in percent, the mean of the seeds")
    deviation: float | None
    against_random: IntervalOut | None = Field(description="minus that of random cells; null for these")
    against_size: IntervalOut | None = Field(
        description="minus that of random cells with as many parameters; null if those were not measured"
    )
    verdict: Verdict = Field(description="of `against_random`; empty for the random cells")
    commit: str = Field(description="of the latest run")
    date: str


class Ledger(BaseModel):
    """The rows of all complete protocols. `dartboard bench advice` writes them to api/advice/ledger.json."""

    rows: list[LedgerRow]


class Estimate(BaseModel):
    """What one training costs on a device of the pool. seconds: null where nothing like it has run there."""

    seconds: float | None
    epochs: int
    job: UUID | None = Field(description="the job from whose epochs it was estimated")
    how: str = Field(description="how it was estimated, or why it was not")


class Cost(BaseModel):
    """The cost of the advised job. short_retraining: of a study's candidate; null for a single search. hours: of all of
    it, with as many trainings side by side as there are GPUs; null where a part is unknown.
    """

    search: Estimate
    short_retraining: Estimate | None
    retraining: Estimate
    hours: float | None


class AdviceOut(BaseModel):
    """A method for a data set and a budget, with the rows that speak for it."""

    dataset: str
    training_images: int
    gpus: int
    hours: float
    method: MethodName
    space: CnnSpace
    order: Literal[1, 2]
    epochs: int = Field(description="of each search")
    retraining_epochs: int
    seeds: list[int]
    kind: Literal["search", "study"] = Field(description="the protocol: several seeds where the hours allow a study")
    body: dict[str, Any] = Field(description="for `POST /searches` or `POST /studies`, by `kind`")
    retraining: dict[str, Any] | None = Field(
        description="for `POST /evaluations`, with the search's id as `search_id`; null for a study, which has its own"
    )
    rows: list[LedgerRow]
    cost: Cost
    sentences: list[str] = Field(description="why this one, what it costs, what is not known, warnings")
