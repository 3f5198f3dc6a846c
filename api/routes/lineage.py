"""Shows what each result was made of."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from api.deps import Db
from api.http.problems import documented
from api.lineage.graph import Lineage
from api.schemas.lineage import LineageOut

router = APIRouter(prefix="/lineage", tags=["jobs"], responses=documented(422, 503))
_Start = Annotated[
    str,
    Path(
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="id of a job, a checkpoint or a data set, or a data set's name",
    ),
]


@router.get("/{start}", responses=documented(404))
async def get_lineage(start: _Start, database: Db) -> LineageOut:
    """All that a job, a checkpoint or a data set was made of, and all that was made of it: data sets, searches, cells,
    retrainings, checkpoints, scores and ensembles, with their checksums.
    """
    async with database.transaction() as session:
        return await Lineage(session).of(start)
