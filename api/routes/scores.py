"""Scores: measure a checkpoint on a data set's test images or test text, take its logits."""

from __future__ import annotations

from fastapi import Request, Response

from api.checkpoints.lookup import Found, Sources
from api.deps import Datasets, Downloads, Jobs, Reading, Uploads
from api.http.downloads import FILE_ANSWERS, WantedFile, plain_name
from api.http.problems import documented, invalid
from api.routes.collection import IdempotencyKeyHeader, JobId, job_router
from api.schemas.jobs import JobKind, JobOut
from api.schemas.scores import ScoreCreate
from api.serializers import job_out
from darts_core.configs import RnnScoreConfig, ScoreConfig

router = job_router(JobKind.SCORE)


@router.post("", status_code=201, responses=documented(404, 409))
async def create_score(
    body: ScoreCreate,
    jobs: Jobs,
    reading: Reading,
    uploads: Uploads,
    datasets: Datasets,
    response: Response,
    key: IdempotencyKeyHeader = None,
) -> JobOut:
    """Queue a measurement. 404 for an unknown checkpoint, 409 when the job has none yet.

    The checkpoint is taken now: whatever becomes of its job or its upload does not change it.
    """
    submitted = await jobs.submitted(JobKind.SCORE, body, key)
    if submitted is None:
        found = await Sources(jobs, reading, uploads, datasets).find(body)
        config = await _config(body, found, datasets)
        submitted = await jobs.submit(
            JobKind.SCORE, body, config, source=found.job_id, idempotency_key=key, given={"given.pt": found.stored}
        )
    response.headers["Location"] = f"/scores/{submitted.job.id}"
    if submitted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return job_out(submitted.job)


async def _config(body: ScoreCreate, found: Found, datasets: Datasets) -> ScoreConfig | RnnScoreConfig:
    if body.family not in (None, found.family):
        raise invalid("family", f"the checkpoint is of family {found.family!r}")
    dataset = body.dataset or found.dataset
    if dataset is None:
        raise invalid("dataset", "is needed: this checkpoint does not say what it was trained on")
    given = body.scoring(dataset, found.family)
    if found.family == "rnn":
        if found.checkpoint.format == "authors" and dataset != found.dataset:
            raise invalid(
                "dataset",
                f"a state_dict's words have numbers by {found.dataset} alone: make a checkpoint of it (dartboard "
                "import) to measure it on another text",
            )
        if body.dataset is None and body.text_checksum is None:
            given["text_checksum"] = found.checksum
        return RnnScoreConfig(**{"batch_size": found.columns, **given}, checkpoint=found.checkpoint).resolved(
            await datasets.text_info(dataset)
        )
    info = await datasets.info(dataset)
    if body.dataset is None and body.dataset_checksum is None and found.checksum is not None:
        # The data that it was trained on, not what its name has come to mean since.
        if info is None or info.checksum != found.checksum:
            raise invalid(
                "dataset", f"is needed: the data that this checkpoint was trained on is gone, {dataset} is another now"
            )
        given["dataset_checksum"] = found.checksum
    return ScoreConfig(**given, checkpoint=found.checkpoint).resolved(info)


@router.head("/{job_id}/checkpoint", operation_id="head_score_checkpoint", responses=FILE_ANSWERS)
@router.get("/{job_id}/checkpoint", response_class=Response, responses=FILE_ANSWERS)
async def download_measured_checkpoint(
    request: Request, job_id: JobId, jobs: Jobs, reading: Reading, downloads: Downloads, wanted: WantedFile = "torch"
) -> Response:
    """The measured checkpoint: the score's own copy, independent of the training or upload."""
    job = await jobs.get(job_id, JobKind.SCORE)
    given = await reading.given(job, "given.pt")
    return await downloads.stored(request, given.stored, plain_name(job.name) or str(job.id), wanted)


@router.head("/{job_id}/logits", operation_id="head_logits", responses=FILE_ANSWERS)
@router.get("/{job_id}/logits", response_class=Response, responses=FILE_ANSWERS)
async def download_logits(
    request: Request, job_id: JobId, jobs: Jobs, reading: Reading, downloads: Downloads
) -> Response:
    """A safetensors file of `logits`, float32 (N, classes), and `labels`, int64 (N,), in the data set's order.

    For a language model, whose logits would hold a number for each word of the vocabulary, it contains the part that
    perplexities and ensembles need: `log_probabilities`, float32 (N,), of the actual words, and `targets`, int64 (N,),
    their indices in the vocabulary, in the text's order. 409 until the score has succeeded.
    """
    job = await jobs.get(job_id, JobKind.SCORE)
    row = await reading.file(job, "logits.safetensors")
    stem = plain_name(job.name) or str(job.id)
    return await downloads.file(request, row.stored, f"{stem}-logits.safetensors")
