"""Sets which checkpoints ended jobs keep, and clears the others."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from api.deps import Retaining, Sweeping
from api.http.problems import conflict, documented, invalid_query
from api.retention.rules import RuleKey
from api.schemas.jobs import JobKind
from api.schemas.keys import OwnerName
from api.schemas.retention import Cleared, RetentionList, RetentionOut, RetentionPreview, RetentionSet

router = APIRouter(prefix="/retention", tags=["operation"], responses=documented(422, 503))


async def _rule_key(
    owner: Annotated[
        OwnerName | None, Query(description="whose jobs; by default the caller's, for admins all owners'")
    ] = None,
    kind: Annotated[JobKind | None, Query(description="`search` or `evaluation`; both by default")] = None,
    own: Annotated[bool, Query(description="for admins: the rule that the owner has set")] = False,
) -> RuleKey:
    return RuleKey.of_caller(owner, kind, own=own)


_Rule = Annotated[RuleKey, Depends(_rule_key)]


@router.get("")
async def list_retention(retaining: Retaining) -> RetentionList:
    """All rules, the admins' first."""
    return RetentionList(items=await retaining.list())


@router.put("", responses=documented(403))
async def set_retention(key: _Rule, body: RetentionSet, retaining: Retaining) -> RetentionOut:
    """Set a rule, or replace it. Sweeps, once an hour, then clear what the rules do not keep. 403 for other owners."""
    return await retaining.set(key, body)


@router.delete("", status_code=204, responses=documented(403, 404))
async def remove_retention(key: _Rule, retaining: Retaining) -> None:
    """Remove a rule. 403 for other owners."""
    await retaining.remove(key)


@router.get("/preview")
async def preview_retention(
    retaining: Retaining,
    key: _Rule,
    last: Annotated[int | None, Query(ge=0, lt=2**31, description="of a rule to try; see `PUT`")] = None,
    best: Annotated[bool | None, Query(description="of a rule to try")] = None,
    every: Annotated[int | None, Query(ge=1, lt=2**31, description="of a rule to try")] = None,
    days: Annotated[
        int | None, Query(ge=0, le=36_500, description="of a rule to try, in place of the one that is set")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="of the jobs that are listed")] = 100,
) -> RetentionPreview:
    """What a sweep would clear now, by owner and job, also by a rule that is not set. A job whose files turn out to be
    damaged keeps more.
    """
    given = {"last": last, "best": best, "every": every, "days": days}
    tried = {name: value for name, value in given.items() if value is not None}
    if tried and days is None:
        raise invalid_query("days", "is required to try a rule")
    return await retaining.preview(key, RetentionSet.model_validate(tried) if tried else None, limit)


@router.post("/sweep", responses=documented(409))
async def sweep_retention(sweeping: Sweeping) -> Cleared:
    """Clear now what the rules do not keep, instead of within the hour. 409 while a sweep runs."""
    cleared = await sweeping.sweep()
    if cleared is None:
        raise conflict("a sweep runs already: see `GET /storage` for its effect")
    return cleared
