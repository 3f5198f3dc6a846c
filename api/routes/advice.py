"""Advises on a search before it spends GPU time."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import Advising
from api.http.problems import documented
from api.schemas.advice import AdviceOut
from api.schemas.jobs import PoolName

router = APIRouter(prefix="/advice", tags=["jobs"], responses=documented(409, 422, 503))


@router.get("")
async def advise(
    advising: Advising,
    dataset: Annotated[
        str, Query(max_length=120, pattern=r"^[^\x00]+$", description="a built-in or an uploaded set of images")
    ],
    gpus: Annotated[int, Query(ge=1, le=1024, description="workers with one GPU each, for trainings side by side")],
    hours: Annotated[float, Query(gt=0, le=1e6, allow_inf_nan=False, description="of wall time")],
    pool: Annotated[PoolName, Query(description="the workers that would run it")] = "default",
) -> AdviceOut:
    """A method for this data set and budget, with the ledger's rows that speak for it and its cost on these workers.

    422 for a data set that is unknown, a text or a folder; 409 for one that is still being checked.
    """
    return await advising.advise(dataset, gpus, hours, pool)
