"""Evaluations: train a found or a given cell from scratch, take its checkpoints."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import ValidationError

from api.deps import Datasets, Genotypes, Jobs, Reading, Store
from api.downloads import FILE_ANSWERS, WantedFile, checkpoint_answer
from api.problems import documented, invalid, invalid_fields
from api.routes.collection import IdempotencyKeyHeader, JobId, job_router
from api.schemas.evaluations import AnyEvaluationCreate, EvaluationCreate, RnnEvaluationCreate
from api.schemas.jobs import CheckpointList, JobKind, JobOut
from api.schemas.scores import WhichEpoch
from api.views import checkpoint_out, job_out
from darts_core.configs import EvaluationConfig, RnnEvaluationConfig
from darts_core.genotypes.drawn import RANDOM

router = job_router(JobKind.EVALUATION)


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
            return body.config(dataset=dataset, genotype=genotype, info=text_info, text=text)
        checksum = of_search.get("dataset_checksum")
        info = await datasets.info(dataset)
        return body.config(dataset=dataset, genotype=genotype, info=info, dataset_checksum=checksum)
    except ValidationError as error:
        raise invalid_fields(error, type(body)) from error


@router.get("/{job_id}/checkpoints", responses=documented(404))
async def list_checkpoints(job_id: JobId, jobs: Jobs, reading: Reading) -> CheckpointList:
    """What is kept: the best epoch's, the last one's and, with `checkpoint_every: k`, each k-th one's."""
    job = await jobs.get(job_id, JobKind.EVALUATION)
    return CheckpointList(items=[checkpoint_out(c) for c in await reading.checkpoints(job)])


@router.head("/{job_id}/checkpoint", operation_id="head_evaluation_checkpoint", responses=FILE_ANSWERS)
@router.get("/{job_id}/checkpoint", response_class=Response, responses=FILE_ANSWERS)
async def download_checkpoint(
    request: Request,
    job_id: JobId,
    jobs: Jobs,
    reading: Reading,
    store: Store,
    epoch: Annotated[WhichEpoch, Query()] = "best",
    wanted: WantedFile = "torch",
) -> Response:
    """The trained network as a file for `torch.load(weights_only=True)`. 409 while there is none."""
    job = await jobs.get(job_id, JobKind.EVALUATION)
    return await checkpoint_answer(request, store, await reading.checkpoint(job, epoch), job.name, wanted)
