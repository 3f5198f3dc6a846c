"""Sums up what stored files take of the disk, and finds what can be deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api.datasets.references import unfinished_jobs
from api.db.models import Dataset
from api.retention.clearable import ENDED, clearable, summary
from api.schemas.datasets import DatasetState
from api.schemas.operation import WorkerOut
from api.schemas.retention import RetentionOut, RetentionPreview
from api.schemas.storage import Freeable, OwnerStorage, StorageOut, WorkerStorage

_COMMANDS: Final = {"upload": "dartboard checkpoints remove", "dataset": "dartboard datasets remove"}
# Each is looked for among the specs of unfinished jobs.
_DATASETS: Final = 5
# Equal files of jobs are links to one in a directory.
_BY_OWNER: Final = text("""
with files as (
    select owner, jobs.kind, sha256, size, epoch = 0 as is_given from checkpoints join jobs on jobs.id = job_id
    union all select owner, 'upload', sha256, size, false from uploads
    union all select owner, 'dataset', checksum, size, false from datasets where checksum is not null
), counted as (
    select distinct on (owner, sha256) owner, kind, size from files order by owner, sha256, is_given, kind
)
select owner, kind, sum(size)::bigint as bytes from counted group by owner, kind order by kind
""")
_FREEABLE: Final = text("""
with files as (
    select coalesce(parent_id, jobs.id) as root, sha256, size from checkpoints join jobs on jobs.id = job_id
    union all select id, sha256, size from uploads
), alone as (
    select root, sha256, size, min(root::text) over same = max(root::text) over same as is_alone
    from files window same as (partition by sha256)
), sized as (
    select root, sum(size)::bigint as bytes from (select distinct root, sha256, size from alone where is_alone) as own
    group by root
), needed as (
    select coalesce(parent_id, jobs.id) as root from jobs left join checkpoints on job_id = jobs.id
    where jobs.status <> all(:ended) or jobs.pinned or checkpoints.pinned
        or checkpoints.id in (select checkpoint_id from model_versions)
    union all select upload_id from model_versions where upload_id is not null
)
select kind, id::text, name, owner, bytes from (
    select kind, id, name, owner from jobs union all select 'upload', id, name, owner from uploads
) as deletable join sized on root = id
where id not in (select root from needed)
order by bytes desc, id limit :most
""")
_MOST_SPARING: Final = RetentionOut(own=False, days=0)


async def storage(session: AsyncSession, free: int | None, workers: Iterable[WorkerOut]) -> StorageOut:
    """The disk use of all owners and of these workers. free: of the store, in bytes."""
    owners = await _owners(session)
    return StorageOut(
        bytes=sum(each.bytes for each in owners),
        free=free,
        spare=(await spare(session)).bytes,
        owners=owners,
        workers=[
            WorkerStorage(name=each.name, dataset_bytes=each.dataset_bytes, free_bytes=each.free_bytes)
            for each in workers
            if each.dataset_bytes is not None
        ],
        frees_most=await freeable(session, most=10),
    )


async def spare(session: AsyncSession) -> RetentionPreview:
    """What the rule clears that keeps the newest and the best checkpoint of each job."""
    return summary(await clearable(session, [_MOST_SPARING]), most=0)


async def freeable(session: AsyncSession, most: int) -> list[Freeable]:
    """What can be deleted, the largest first."""
    found = [_freeable(*row) for row in await session.execute(_FREEABLE, {"most": most, "ended": ENDED})]
    sharing = select(Dataset.checksum).group_by(Dataset.checksum).having(func.count() > 1)
    largest = select(Dataset).where(Dataset.state == DatasetState.READY, Dataset.checksum.not_in(sharing))
    for each in await session.scalars(largest.order_by(Dataset.size.desc()).limit(_DATASETS)):
        if not await unfinished_jobs(session, each):
            found.append(_freeable("dataset", each.name, None, each.owner, each.size or 0))
    return sorted(found, key=lambda each: -each.bytes)[:most]


def _freeable(kind: str, which: str, name: str | None, owner: str | None, size: int) -> Freeable:
    command = f"{_COMMANDS.get(kind, 'dartboard delete')} {which}"
    return Freeable(kind=kind, id=which, name=name, owner=owner, bytes=size, command=command)


async def _owners(session: AsyncSession) -> list[OwnerStorage]:
    found: dict[str | None, dict[str, Any]] = {}
    for owner, kind, size in await session.execute(_BY_OWNER):
        found.setdefault(owner, {})[kind] = size
    owners = [
        OwnerStorage(
            owner=owner,
            bytes=sum(by_kind.values()),
            uploads=by_kind.pop("upload", 0),
            datasets=by_kind.pop("dataset", 0),
            jobs=by_kind,
        )
        for owner, by_kind in found.items()
    ]
    return sorted(owners, key=lambda each: -each.bytes)
