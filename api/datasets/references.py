"""Keeps jobs and the uploaded sets that they use consistent: a set in use cannot be deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.ext.asyncio import AsyncSession

from api.db.models import Dataset, Job
from api.http.problems import conflict
from api.schemas.jobs import Status
from darts_core.families import CNN, FAMILIES, family_in


async def hold(session: AsyncSession, spec: dict[str, Any]) -> None:
    """Lock the spec's uploaded set against deletion until this transaction has queued its job.

    For a composite job's spec, lock the sets of all its future children. Raises ProblemError 409 if a set is deleted.
    """
    for part in _parts(spec):
        await _hold(session, part)


def _parts(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The specs that name one data set each."""
    if "points" not in spec:
        yield spec
        return
    for point in spec["points"]:
        yield from (part for name, part in point.items() if name != "values")


async def _hold(session: AsyncSession, spec: dict[str, Any]) -> None:
    checksum = family_in(spec).uploaded_checksum(spec)
    if checksum is None:
        return
    same = select(Dataset.id).where(Dataset.name == spec["dataset"], Dataset.checksum == checksum)
    if await session.scalar(same.with_for_update(read=True)) is None:
        raise conflict(
            f"the data set {spec['dataset']} with the checksum {checksum} has been deleted: upload the same data "
            "under this name again"
        )


async def unfinished_jobs(session: AsyncSession, dataset: Dataset) -> list[Job]:
    """Up to three active jobs that use the set. The caller holds the row's lock."""
    ended = [status for status in Status if status.ended]
    field = next((f.checksum_field for f in FAMILIES.values() if f.data == dataset.kind), CNN.checksum_field)
    using = (Job.spec[field].astext == dataset.checksum) & (Job.spec["dataset"].astext == dataset.name)
    # A composite job's spec holds the specs of its future children.
    wanted = {"dataset": dataset.name, "checksum": dataset.checksum}
    path = cast(literal(f"$.points[*].* ? (@.dataset == $dataset && @.{field} == $checksum)"), JSONPATH)
    to_be_used = func.jsonb_path_exists(Job.spec, path, cast(wanted, JSONB))
    found = select(Job).where(using | to_be_used, Job.status.not_in(ended)).limit(3)
    return list(await session.scalars(found))
