"""Reports what files take of the disk."""

from __future__ import annotations

from fastapi import APIRouter

from api.deps import Db, Store, Workers
from api.http.problems import documented
from api.retention.storage import storage
from api.schemas.storage import StorageOut

router = APIRouter(prefix="/storage", tags=["operation"], responses=documented(422, 503))


@router.get("")
async def get_storage(database: Db, store: Store, workers: Workers) -> StorageOut:
    """What files take by owner and kind, what is free, and what can be deleted, the largest first."""
    alive = [worker for worker in await workers.list() if worker.alive]
    async with database.single_statements() as session:
        return await storage(session, store.free_bytes(), alive)
