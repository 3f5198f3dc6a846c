"""Tells what would free most of a full artifact store."""

from __future__ import annotations

from typing import Final

import structlog
from fastapi import Request, Response

from api.db.engine import Database
from api.http.problems import ProblemError, response_to
from api.retention.storage import freeable, spare

_log = structlog.get_logger(__name__)
_NAMED: Final = 2


async def what_frees_most(database: Database) -> str:
    """An imperative. It names checkpoints that can be spared, and the largest things that can be deleted."""
    try:
        async with database.single_statements() as session:
            found = await spare(session)
            largest = await freeable(session, _NAMED)
    except Exception as error:  # the store is full in any case
        _log.warning("no_advice", error=f"{type(error).__name__}: {error}"[:300])
        return "free some space"
    ways = []
    if found.bytes:
        whose = f", most of them {found.owners[0].owner}'s" if found.owners[0].owner else ""
        ways.append(
            f"ended jobs can spare checkpoints of {found.bytes:,} bytes{whose} (dartboard retention preview --days 0)"
        )
    for each in largest:
        whose = f", {each.owner}'s" if each.owner else ""
        ways.append(f"the {each.kind} {each.name or each.id}{whose} has {each.bytes:,} ({each.command})")
    return f"free some space: {'; '.join(ways)}" if ways else "free some space"


async def store_full(request: Request, error: Exception) -> Response:
    """The 507 of any request, with what would free most."""
    advice = await what_frees_most(request.app.state.database)
    answer = response_to(ProblemError(507, f"{error}; {advice}"), request.url.path)
    assert answer is not None
    return answer
