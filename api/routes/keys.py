"""Manages keys, and lists the audit log for admins. Others see and revoke their own keys."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.auth.audit import AuditFilters, entry_out
from api.auth.permissions import lower
from api.auth.principal import Principal
from api.deps import Audit, Caller, Keys
from api.http.problems import ProblemError, documented, invalid
from api.jobs.id_prefix import IdPrefix
from api.routes.collection import Cursor, Limit, cut
from api.schemas.keys import AuditList, KeyCreate, KeyCreated, KeyLimits, KeyList, KeyOut, OwnerName, Role

router = APIRouter(tags=["keys"], responses=documented(422))


@router.post("/keys", status_code=201, responses=documented(409))
async def create_key(body: KeyCreate, keys: Keys, caller: Caller, response: Response) -> KeyCreated:
    """Create a key. Only this response contains `key`.

    People who signed in at the identity provider create keys of their own, up to their role. 409: they have too many.
    """
    owner = body.owner or caller.owner
    if owner is None:
        raise invalid("owner", "a local user without a key has no name: give one")
    if caller.role is Role.ADMIN:
        created = await keys.create(body.model_copy(update={"owner": owner}))
    else:
        _check_own(body, owner, caller)
        created = await keys.create_own(body.role, owner)
    response.headers["Location"] = f"/keys/{created.id}"
    # Responses with secrets must not be cached.
    response.headers["Cache-Control"] = "no-store"
    return created


@router.get("/keys")
async def list_keys(
    keys: Keys, caller: Caller, id_prefix: IdPrefix = None, limit: Limit = 50, cursor: Cursor = None
) -> KeyList:
    """Keys, newest first, including revoked ones: for admins all, for others their own."""
    owner = None if caller.role is Role.ADMIN else caller.owner
    page, more = cut(await keys.list(limit=limit + 1, cursor=cursor, id_prefix=id_prefix, owner=owner), limit)
    return KeyList(items=page, next_cursor=more)


@router.get("/keys/{key_id}", responses=documented(404))
async def get_key(key_id: UUID, keys: Keys) -> KeyOut:
    """A key, without its secret."""
    return await keys.get(key_id)


@router.delete("/keys/{key_id}", status_code=204, responses=documented(404))
async def revoke_key(key_id: UUID, keys: Keys) -> None:
    """Revoke a key and end its sessions. Its owner keeps everything created with it.

    The key that stands for a person's logins takes all their keys with it; they may sign in again.
    """
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


def _check_own(body: KeyCreate, owner: str, caller: Principal) -> None:
    """Raises ProblemError 403 unless a person asks for a key of their own, as far as their role goes."""
    if owner != caller.owner:
        raise ProblemError(403, f"this would be a key of {owner}: only admins create keys of others")
    if lower(body.role, caller.role) is not body.role or body.role is Role.WORKER:
        raise ProblemError(403, f"your role is {caller.role}: only an admin creates keys of the role {body.role}")
    if body.limits != KeyLimits():
        raise ProblemError(403, "only admins set limits: leave them out")
