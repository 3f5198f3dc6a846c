"""Compares jobs side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import PlainTextResponse

from api.compare.comparison import compare
from api.compare.sides import Side
from api.compare.tables import to_csv, to_markdown
from api.deps import Comparing
from api.http.problems import documented, invalid_query
from api.schemas.compare import Comparison, TableName

router = APIRouter(prefix="/compare", tags=["jobs"], responses=documented(404, 422, 503))
FEWEST, MOST = 2, 20
Format = Literal["json", "csv", "markdown"]
_MEDIA_TYPES: Final[dict[Format, str]] = {"json": "application/json", "csv": "text/csv", "markdown": "text/markdown"}
_TEXT_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {_MEDIA_TYPES[f]: {"schema": {"type": "string"}} for f in ("csv", "markdown")}}
}


async def _ids(
    ids: Annotated[
        list[Annotated[str, Query(max_length=1000)]],
        Query(max_length=MOST, description="2 to 20 jobs: `ids=A,B`, or `ids=A&ids=B`"),
    ],
) -> list[UUID]:
    found: list[UUID] = []
    for text in filter(None, (part.strip() for group in ids for part in group.split(","))):
        try:
            found.append(UUID(text))
        except ValueError as error:
            raise invalid_query("ids", f"{text[:80]!r} is not an id") from error
    found = list(dict.fromkeys(found))
    if not FEWEST <= len(found) <= MOST:
        raise invalid_query("ids", f"expected {FEWEST} to {MOST} different jobs, got {len(found)}")
    return found


async def _wanted(
    format: Annotated[Format | None, Query(description="overrides the `Accept` header")] = None,  # noqa: A002
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Format:
    asked = [f for f, media in _MEDIA_TYPES.items() if media in accept]
    return format or (asked[0] if asked else "json")


@router.get("", response_model=Comparison, responses=_TEXT_ANSWERS)
async def compare_jobs(
    ids: Annotated[list[UUID], Depends(_ids)],
    wanted: Annotated[Format, Depends(_wanted)],
    comparing: Comparing,
    table: Annotated[TableName, Query(description="the table for CSV; Markdown contains all")] = "figures",
) -> Response:
    """Compare 2 to 20 jobs of any kind: figures, cells edge by edge, metrics by epoch and differing spec fields.

    404 names the unknown job.
    """
    sides = await comparing.sides(ids)
    return await asyncio.to_thread(_render, sides, wanted, table)


def _render(sides: Sequence[Side], wanted: Format, table: TableName) -> Response:
    """Runs in a thread, since long jobs have many epochs."""
    comparison = compare(sides)
    if wanted == "json":
        return Response(comparison.model_dump_json(), media_type=_MEDIA_TYPES[wanted])
    text = to_csv(comparison, table) if wanted == "csv" else to_markdown(comparison)
    return PlainTextResponse(text, media_type=_MEDIA_TYPES[wanted])
