"""Describes evaluations: trainings of a cell from scratch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from api.http.problems import invalid, invalid_fields
from api.kinds.init_from import started
from api.kinds.kind import ACTIONS, Form, Kind, References, Resolved, Retention
from api.schemas.evaluations import EvaluationCreate, RnnEvaluationCreate
from api.schemas.jobs import JobKind
from darts_core.configs.common import RunConfig
from darts_core.families import NetworkFamily, family_in
from darts_core.genotypes.random_cells import RANDOM

AnyEvaluation = EvaluationCreate | RnnEvaluationCreate


async def _resolve(body: AnyEvaluation, references: References) -> Resolved:
    """Queue a training from scratch. 409 if the search has no finished epoch; 422 for an invalid value.

    The cell is copied now, so later epochs of the search have no effect. With `init_from`, so is the state of another
    evaluation, or of a search whose supernet has the cell; 404 for an unknown job, 409 for one that has none yet.
    """
    if (body.search_id is None) == (body.genotype is None):
        raise invalid("genotype", "give either a search_id or a genotype")
    if body.genotype_seed is not None and body.genotype != RANDOM:
        raise invalid("genotype_seed", "requires genotype: random")
    family = family_in({"family": body.family})
    given: dict[str, Any] = {}
    dataset, genotype = body.dataset, body.genotype
    if body.search_id is not None:
        search = await references.reading.job(body.search_id, JobKind.SEARCH)
        if search.spec["family"] != body.family:
            raise invalid("family", f"the search is of family {search.spec['family']!r}: set family to it")
        genotype = (await references.reading.epoch(search, body.epoch)).genotype
        given = family.retraining_of(search.spec)
        if dataset is None:
            dataset, given = search.spec["dataset"], {**given, **family.own_data(search.spec)}
    elif body.epoch is not None:
        raise invalid("epoch", "requires a search_id")
    if dataset is None:
        raise invalid("dataset", "is required with a genotype")
    assert genotype is not None
    given |= {name: value for name, value in body.given().items() if name in family.retraining.model_fields}
    given |= {"dataset": dataset, "genotype": await references.genotypes.resolve(genotype, body.family)}
    if genotype == RANDOM:
        given["genotype_seed"] = body.genotype_seed
    info = await references.datasets.info_for(family, dataset)
    try:
        # Parsing a long genotype text may take a while.
        spec = await asyncio.to_thread(_spec, family, given, info)
    except ValidationError as error:
        raise invalid_fields(error, type(body)) from error
    spec.check_gpus(body.gpus)
    return await started(spec, references, source=body.search_id)


def _spec(family: NetworkFamily, given: Mapping[str, Any], info: Any) -> RunConfig:
    return family.evaluation(**given).resolved(info)


EVALUATION: Final = Kind(
    name=JobKind.EVALUATION,
    requests={"cnn": EvaluationCreate, "rnn": RnnEvaluationCreate},
    resolve=_resolve,
    refusals=(404, 409),
    actions=(*ACTIONS, "extend"),
    objective=lambda spec: family_in(spec).selection,
    retention=Retention.BEST_AND_LAST,
    leaves=("epoch-N.pt",),
    resumes=True,
    links={"checkpoint": "checkpoint", "checkpoints": "checkpoints"},
    form=Form(
        submit="Train a cell",
        about="Trains a found or given cell from scratch, as a network of its own, and tests it.",
        first={"": ("name", "search_id", "epoch", "genotype", "dataset", "preset", "epochs", "seed")},
        presets={"": "evaluation"},
    ),
)
