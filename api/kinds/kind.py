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
from api.db.engine import Database
from api.genotypes.registry import GenotypeRegistry
from api.http.problems import invalid
from api.jobs.queries import Reader
from api.models.registry import ModelRegistry
from api.schemas.families import family_of_body
from api.schemas.jobs import JobFrame, JobKind
from darts_core.data.catalogue import DatasetInfo
from darts_core.families import FAMILIES, Objective

Spec = Mapping[str, Any]
ACTIONS: Final = ("cancel", "pause", "resume", "retry", "delete")


class References:
    """Finds the objects that a request names: jobs, checkpoints, models, data sets and genotypes."""

    def __init__(
        self,
        database: Database,
        reading: Reader,
        uploads: UploadService,
        datasets: DatasetService,
        genotypes: GenotypeRegistry,
    ) -> None:
        self.reading, self.datasets, self.genotypes = reading, datasets, genotypes
        self.checkpoints = Sources(reading, uploads, datasets)
        self.models = ModelRegistry(database, self.checkpoints)
        self.members = Members(self.checkpoints, reading)


@dataclass(frozen=True)
class Resolved:
    """A request with all values filled in.

    source: the job that it builds on. files: the job's input files by name, stored ones or their content, which are
    copied as the checkpoints of its epoch 0.
    """

    spec: BaseModel
    source: UUID | None = None
    files: Mapping[str, Stored | bytes] = field(default_factory=dict)


def check_own_data(info: DatasetInfo | None, checksum: str, dataset: str, whose: str) -> None:
    """Raise ProblemError 422 if the data set's name now denotes another set than the training data."""
    if info is None or info.checksum != checksum:
        raise invalid("dataset", f"is required: {whose} training data was deleted, and {dataset} now has other content")


class Retention(StrEnum):
    """The epochs whose files are kept, besides every k-th with `checkpoint_every`."""

    ALL = "all"
    LAST = "last"
    BEST_AND_LAST = "best and last"


@dataclass(frozen=True)
class Form:
    """Hints for the dashboard's form, in addition to the request's schema.

    submit: the button's label. about: what the job does, in a line. first: the fields above "All settings", by the
    part of the body; "" is the body itself.
    hidden: fields set elsewhere in the form, likewise. presets: by part, the kind of job whose presets it starts from;
    with `short` for the `-short` ones.
    """

    submit: str
    about: str = ""
    first: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hidden: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    presets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A kind of job.

    requests: the models of the creating request by family; one under "" serves all families. resolve: resolves a
    request; raises ProblemError and ConfigError; its docstring describes the operation. refusals: its error statuses
    besides 422. objective: of a spec; None if epochs are not ranked. leaves: the files of an epoch, the main one first.
    links: the kind's additional links, as paths below the job's. source: the kind of the job that a spec builds on.
    finds_cells: whether each epoch has a genotype and alphas. resumes: whether a job with input files resumes from its
    own checkpoints; others start over. result: the type of a report's `result`. protocol: set
    for composite kinds, which no worker claims.
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
    resumes: bool = False
    result: Any = None
    protocol: Protocol | None = None

    @property
    def leaves_checkpoints(self) -> bool:
        """Whether an epoch's main file is a checkpoint."""
        return any(name.endswith(".pt") for name in self.leaves[:1])

    @property
    def trains(self) -> bool:
        """Whether its jobs are trainings, whose workers save their state between two steps."""
        return "extend" in self.actions

    @property
    def body(self) -> Any:
        if "" in self.requests:
            return self.requests[""]
        tagged = tuple(Annotated[model, Tag(family)] for family, model in self.requests.items())
        return Annotated[Union[tagged], Discriminator(self.family_of_body)]  # noqa: UP007

    @cached_property
    def bodies(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.body)

    @cached_property
    def results(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.result)

    def retained(self, epochs: Collection[int], best: Spec | None, every: int | None) -> set[int]:
        """The epochs whose files stay; input files, those of epoch 0, always do. every: the spec's
        `checkpoint_every`.
        """
        if self.retention is Retention.ALL:
            return set(epochs)
        kept = {max(epochs), *({0} & set(epochs))} if epochs else set()
        if self.retention is Retention.BEST_AND_LAST and best is not None:
            kept.add(int(best["epoch"]))
        return kept | {epoch for epoch in epochs if every is not None and epoch % every == 0}

    def is_better(self, spec: Spec, metrics: Mapping[str, float], best: Spec | None) -> bool:
        """Whether an epoch's validation metrics beat the best so far. Without an objective, the latest epoch is
        best.
        """
        objective = self.objective(spec)
        if best is None or objective is None or objective.metric not in metrics.keys() & best.keys():
            return True
        return objective.is_better(metrics[objective.metric], best[objective.metric])

    def form_hints(self) -> dict[str, Any]:
        """The dashboard's form of this kind, as the OpenAPI document carries it."""
        return {
            "kind": self.name,
            "collection": f"/{self.name.collection}",
            "models": {tag: model.__name__ for tag, model in self.requests.items() if tag in ("", *FAMILIES)},
            **asdict(self.form),
        }
