"""Keys, and what was done with them: for admins."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.auth.audit import AuditFilters, entry_out
from api.auth.service import key_out
from api.deps import Audit, Keys
from api.http.problems import documented
from api.jobs.id_prefix import IdPrefix
from api.routes.collection import Cursor, Limit, cut
from api.schemas.keys import AuditList, KeyCreate, KeyCreated, KeyList, KeyOut, OwnerName

router = APIRouter(tags=["keys"], responses=documented(422))


@router.post("/keys", status_code=201)
async def create_key(body: KeyCreate, keys: Keys, response: Response) -> KeyCreated:
    """Make a key. `key` is shown in this answer and never again."""
    created = await keys.create(body)
    response.headers["Location"] = f"/keys/{created.id}"
    # What holds a secret is not for a cache.
    response.headers["Cache-Control"] = "no-store"
    return created


@router.get("/keys")
async def list_keys(keys: Keys, id_prefix: IdPrefix = None, limit: Limit = 50, cursor: Cursor = None) -> KeyList:
    """Newest first, revoked ones, too."""
    page, more = cut(await keys.list(limit=limit + 1, cursor=cursor, id_prefix=id_prefix), limit)
    return KeyList(items=[key_out(k) for k in page], next_cursor=more)


@router.get("/keys/{key_id}", responses=documented(404))
async def get_key(key_id: UUID, keys: Keys) -> KeyOut:
    """One of them."""
    return key_out(await keys.get(key_id))


@router.delete("/keys/{key_id}", status_code=204, responses=documented(404))
async def revoke_key(key_id: UUID, keys: Keys) -> None:
    """Refuse a key and its sessions from now on. What was made with it stays its owner's."""
    await keys.revoke(key_id)


@router.get("/audit")
async def list_audit(
    audit: Audit,
    key: Annotated[UUID | None, Query(description="a key's id")] = None,
    job: Annotated[UUID | None, Query(description="a job's id")] = None,
    owner: Annotated[OwnerName | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> AuditList:
    """Who did what: every request of a known caller that could change something, newest first."""
    page, more = cut(await audit.list(AuditFilters(key, job, owner), limit=limit + 1, cursor=cursor), limit)
    return AuditList(items=[entry_out(e) for e in page], next_cursor=more)
