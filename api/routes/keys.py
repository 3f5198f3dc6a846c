"""Manages keys and lists the audit log, for admins."""

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
    """Create a key. Only this response contains `key`."""
    created = await keys.create(body)
    response.headers["Location"] = f"/keys/{created.id}"
    # Responses with secrets must not be cached.
    response.headers["Cache-Control"] = "no-store"
    return created


@router.get("/keys")
async def list_keys(keys: Keys, id_prefix: IdPrefix = None, limit: Limit = 50, cursor: Cursor = None) -> KeyList:
    """Keys, newest first, including revoked ones."""
    page, more = cut(await keys.list(limit=limit + 1, cursor=cursor, id_prefix=id_prefix), limit)
    return KeyList(items=[key_out(k) for k in page], next_cursor=more)


@router.get("/keys/{key_id}", responses=documented(404))
async def get_key(key_id: UUID, keys: Keys) -> KeyOut:
    """A key, without its secret."""
    return key_out(await keys.get(key_id))


@router.delete("/keys/{key_id}", status_code=204, responses=documented(404))
async def revoke_key(key_id: UUID, keys: Keys) -> None:
    """Revoke a key and end its sessions. Its owner keeps everything created with it."""
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
    """Requests of authenticated callers that could change something, newest first."""
    page, more = cut(await audit.list(AuditFilters(key, job, owner), limit=limit + 1, cursor=cursor), limit)
    return AuditList(items=[entry_out(e) for e in page], next_cursor=more)
