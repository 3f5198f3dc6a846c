"""Exports metrics for Prometheus."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.deps import Metrics

router = APIRouter(tags=["operation"])
_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "all metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get("/metrics", response_class=Response, responses=_ANSWER)
async def metrics(scraper: Metrics) -> Response:
    """All metrics in Prometheus' text format; docs/operations.md documents them."""
    return Response(await scraper.scrape(), headers={"Content-Type": CONTENT_TYPE_LATEST})
