"""Evaluations: train a found or a given cell from scratch, take its checkpoints."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import Response
from pydantic import ValidationError

from api.deps import Datasets, Genotypes, Jobs, Reading
from api.http.problems import documented, invalid, invalid_fields
from api.routes.checkpoint_files import add_checkpoint_routes
from api.routes.collection import IdempotencyKeyHeader, job_router
from api.schemas.evaluations import AnyEvaluationCreate, EvaluationCreate, RnnEvaluationCreate
from api.schemas.jobs import JobKind, JobOut
from api.serializers import job_out
from darts_core.configs import EvaluationConfig, RnnEvaluationConfig
from darts_core.genotypes.random_cells import RANDOM

router = job_router(JobKind.EVALUATION)
add_checkpoint_routes(router, JobKind.EVALUATION, "best")


@router.post("", status_code=201, responses=documented(404, 409))
async def create_evaluation(
    body: AnyEvaluationCreate,
    jobs: Jobs,
    reading: Reading,
    datasets: Datasets,
    genotypes: Genotypes,
    response: Response,
    key: IdempotencyKeyHeader = None,
) -> JobOut:
    """Queue a training from scratch. 409 when the search has no finished epoch yet; 422 when a value is not possible.

    The cell is taken now: a search that goes on later does not change it.
    """
    submitted = await jobs.submitted(JobKind.EVALUATION, body, key)
    if submitted is None:
        config = await _resolve(body, jobs, reading, datasets, genotypes)
        submitted = await jobs.submit(JobKind.EVALUATION, body, config, source=body.search_id, idempotency_key=key)
    response.headers["Location"] = f"/evaluations/{submitted.job.id}"
    if submitted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return job_out(submitted.job)


async def _resolve(
    body: EvaluationCreate | RnnEvaluationCreate,
    jobs: Jobs,
    reading: Reading,
    datasets: Datasets,
    genotypes: Genotypes,
) -> EvaluationConfig | RnnEvaluationConfig:
    if (body.search_id is None) == (body.genotype is None):
        raise invalid("genotype", "give either a search_id or a genotype")
    if body.genotype_seed is not None and body.genotype != RANDOM:
        raise invalid("genotype_seed", "goes with genotype: random")
    dataset, genotype = body.dataset, body.genotype
    of_search: dict[str, Any] = {}
    if body.search_id is not None:
        search = await jobs.get(body.search_id, JobKind.SEARCH)
        if search.spec["family"] != body.family:
            raise invalid("family", f"the search is of family {search.spec['family']!r}: say so here, too")
        genotype = (await reading.epoch(search, body.epoch)).genotype
        if dataset is None:
            # The search's own data, not what its name has come to mean since.
            dataset, of_search = search.spec["dataset"], search.spec
    elif body.epoch is not None:
        raise invalid("epoch", "names an epoch of a search: give a search_id, too")
    if dataset is None:
        raise invalid("dataset", "is needed with a genotype")
    assert genotype is not None
    genotype = await genotypes.resolve(genotype, body.family)
    try:
        if isinstance(body, RnnEvaluationCreate):
            text = {name: value for name, value in of_search.items() if name in ("text_checksum", "text_version")}
            text_info = await datasets.text_info(dataset)
            return await asyncio.to_thread(body.config, dataset=dataset, genotype=genotype, info=text_info, text=text)
        checksum = of_search.get("dataset_checksum")
        info = await datasets.info(dataset)
        # A text with a genotype in it may take a while to read.
        return await asyncio.to_thread(
            body.config, dataset=dataset, genotype=genotype, info=info, dataset_checksum=checksum
        )
    except ValidationError as error:
        raise invalid_fields(error, type(body)) from error
