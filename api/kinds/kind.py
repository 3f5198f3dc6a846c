"""Describes a kind of job: one object for everything that differs between kinds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Final, Union
from uuid import UUID

from pydantic import BaseModel, Discriminator, Tag, TypeAdapter

from api.artifacts import Stored
from api.checkpoints.lookup import Sources
from api.checkpoints.members import Members
from api.checkpoints.uploads import UploadService
from api.composite.steps import Protocol
from api.datasets.service import DatasetService
from api.genotypes.registry import GenotypeRegistry
from api.jobs.queries import Reader
from api.schemas.families import family_of_body
from api.schemas.jobs import JobFrame, JobKind
from darts_core.families import Objective

Spec = Mapping[str, Any]
ACTIONS: Final = ("cancel", "pause", "resume", "retry", "delete")


class References:
    """Finds what a request names: jobs, checkpoints, data sets, genotypes."""

    def __init__(
        self, reading: Reader, uploads: UploadService, datasets: DatasetService, genotypes: GenotypeRegistry
    ) -> None:
        self.reading, self.datasets, self.genotypes = reading, datasets, genotypes
        self.checkpoints = Sources(reading, uploads, datasets)
        self.members = Members(self.checkpoints, reading)


@dataclass(frozen=True)
class Resolved:
    """A request with every value filled in. source: the job that it builds on. files: that the job is given, by name;
    it gets copies of its own, as the checkpoints of its epoch 0.
    """

    spec: BaseModel
    source: UUID | None = None
    files: Mapping[str, Stored] = field(default_factory=dict)


class Retention(StrEnum):
    """Which epochs' files stay, besides each k-th of `checkpoint_every`."""

    ALL = "all"
    LAST = "last"
    BEST_AND_LAST = "best and last"


@dataclass(frozen=True)
class Form:
    """What the dashboard's form adds to the request's schema.

    submit: the label of the button. first: the fields that stand above "All settings", by the part of the body that
    they belong to, "" for the body itself. hidden: fields that the form says elsewhere, likewise. presets: of each
    part the kind of job whose presets it starts from; `short` for the `-short` ones.
    """

    submit: str
    first: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hidden: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    presets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A kind of job.

    requests: the models of the creating request by family; one under "" serves all families. resolve: fills in a
    request's spec; raises ProblemError and ConfigError; its docstring describes the operation. refusals: the statuses
    that it answers besides 422. objective: of a spec, None where no epoch is better than another. leaves: the files of
    an epoch, the main one first. links: of a job besides those that every kind has, as paths below the job's own.
    source: the kind of the job that a spec builds on. finds_cells: whether each epoch has a genotype and alphas.
    result: the type of a report's `result`. protocol: of a composite kind, which no worker takes.
    """

    name: JobKind
    requests: dict[str, type[JobFrame]]
    resolve: Callable[[Any, References], Awaitable[Resolved]]
    form: Form
    refusals: tuple[int, ...] = (409,)
    family_of_body: Callable[[Any], str] = family_of_body
    objective: Callable[[Spec], Objective | None] = lambda spec: None
    retention: Retention = Retention.LAST
    leaves: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    source: Callable[[Spec], JobKind] = lambda spec: JobKind.SEARCH
    actions: tuple[str, ...] = ACTIONS
    finds_cells: bool = False
    result: Any = None
    protocol: Protocol | None = None

    @property
    def leaves_checkpoints(self) -> bool:
        """Whether an epoch's file is a checkpoint, which networks are loaded from."""
        return any(name.endswith(".pt") for name in self.leaves[:1])

    @property
    def body(self) -> Any:
        """The type of the creating request."""
        if "" in self.requests:
            return self.requests[""]
        tagged = tuple(Annotated[model, Tag(family)] for family, model in self.requests.items())
        return Annotated[Union[tagged], Discriminator(self.family_of_body)]  # noqa: UP007

    @cached_property
    def bodies(self) -> TypeAdapter[Any]:
        """Validates creating requests."""
        return TypeAdapter(self.body)

    @cached_property
    def results(self) -> TypeAdapter[Any]:
        """Validates the `result` of a report."""
        return TypeAdapter(self.result)

    def retained(self, epochs: Collection[int], best: Spec | None, every: int | None) -> set[int]:
        """The epochs whose files stay. every: the spec's `checkpoint_every`."""
        if self.retention is Retention.ALL:
            return set(epochs)
        kept = {max(epochs)} if epochs else set()
        if self.retention is Retention.BEST_AND_LAST and best is not None:
            kept.add(int(best["epoch"]))
        return kept | {epoch for epoch in epochs if every is not None and epoch % every == 0}

    def is_better(self, spec: Spec, metrics: Mapping[str, float], best: Spec | None) -> bool:
        """Whether an epoch's metrics beat the best so far, on validation data. Without such the latest one is best."""
        objective = self.objective(spec)
        if best is None or objective is None or objective.metric not in metrics.keys() & best.keys():
            return True
        return objective.is_better(metrics[objective.metric], best[objective.metric])

    def form_hints(self) -> dict[str, Any]:
        """The dashboard's form of this kind, as the OpenAPI document carries it."""
        return {
            "kind": self.name,
            "collection": f"/{self.name.collection}",
            "models": {family: model.__name__ for family, model in self.requests.items()},
            **asdict(self.form),
        }
