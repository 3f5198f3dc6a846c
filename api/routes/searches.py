"""Serves the genotypes, alphas and checkpoints of searches."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from api.db.models import Epoch, Job
from api.deps import Datasets, Jobs, Reading
from api.genotypes.network_shape import shape_of_job
from api.genotypes.responses import TEXT_ANSWERS, WantedFormat, genotype_answer
from api.http.problems import documented, invalid
from api.pictures.responses import Pictures
from api.routes.checkpoint_files import add_checkpoint_routes
from api.routes.collection import JobId, routes_of
from api.schemas.genotypes import AnyGenotypeOut
from api.schemas.jobs import JobKind
from api.schemas.scores import WhichEpoch
from api.schemas.searches import AnyAlphasOut, alphas_out
from darts_core.errors import GenotypeError
from darts_core.genotypes import AnyGenotype, family_of, parse, ranked
from darts_core.genotypes.entries import MOST_NODES
from darts_core.genotypes.ranked import MOST_RANKS

router = routes_of(JobKind.SEARCH)
add_checkpoint_routes(router, JobKind.SEARCH, "last")
AtEpoch = Annotated[int | None, Query(ge=1, lt=2**31, description="default: the latest")]


@router.get("/{job_id}/genotype", response_model=AnyGenotypeOut, responses=TEXT_ANSWERS | documented(404, 409))
async def get_genotype(
    job_id: JobId,
    jobs: Jobs,
    reading: Reading,
    datasets: Datasets,
    pictures: Pictures,
    wanted: WantedFormat,
    epoch: Annotated[WhichEpoch | None, Query(description="`best`, `last` or a number; default: last")] = None,
    rank: Annotated[
        int,
        Query(ge=1, le=MOST_RANKS, description="the n-th strongest genotype, as docs/api.md defines it"),
    ] = 1,
    max_skip_connects: Annotated[
        int | None, Query(ge=0, le=2 * MOST_NODES, description="maximum number in the normal cell")
    ] = None,
) -> Response | AnyGenotypeOut:
    """The cell derived by the search's method. 409 before the first finished epoch.

    `parameters` and `multiply_adds` are those of the evaluation network that the data set's preset would train.
    """
    job = await jobs.get(job_id, JobKind.SEARCH)
    found = await reading.named_epoch(job, epoch or "last")
    assert found.genotype is not None
    if rank == 1 and max_skip_connects is None:
        if wanted == "svg":
            return await pictures.epoch(job, found)
        genotype = parse(found.genotype, family_of(job.spec))
    else:
        genotype = _ranked(job, found, rank, max_skip_connects)
        if wanted == "svg":
            return await pictures.genotype(genotype, f"epoch {found.epoch}, rank {rank}")
    return genotype_answer(
        genotype,
        wanted,
        shape=await shape_of_job(job, datasets),
        epoch=found.epoch,
        primitives=job.spec["primitives"],
    )


def _ranked(job: Job, epoch: Epoch, rank: int, max_skip_connects: int | None) -> AnyGenotype:
    assert epoch.genotype is not None
    assert epoch.strengths is not None
    derived = parse(epoch.genotype, family_of(job.spec))
    try:
        return ranked(
            epoch.strengths,
            job.spec["primitives"],
            rank=rank,
            max_skip_connects=max_skip_connects,
            derived=derived,
            lists=job.spec.get("edges"),
        )
    except GenotypeError as error:
        raise invalid("rank" if max_skip_connects is None else "max_skip_connects", str(error)) from error


@router.get("/{job_id}/alphas", responses=documented(404, 409))
async def get_alphas(job_id: JobId, jobs: Jobs, reading: Reading, epoch: AtEpoch = None) -> AnyAlphasOut:
    """Raw alphas and operation strengths after an epoch. 409 before the first finished epoch."""
    job = await jobs.get(job_id, JobKind.SEARCH)
    found = await reading.epoch(job, epoch)
    assert found.alphas is not None
    assert found.strengths is not None
    return alphas_out(found.epoch, job.spec["primitives"], found.alphas, found.strengths)
