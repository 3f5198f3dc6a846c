"""Simulates users over HTTP: they page through lists and submit a new job for each that ends."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from benchmarks.fleet.filling import COMMON, RARE, Middles
from benchmarks.fleet.timing import Timed

_PAUSE: Final = 0.1


async def browse_lists(timed: Timed, middles: Middles) -> None:
    """Request pages of all kinds in turn."""
    pages: dict[str, tuple[str, dict[str, Any]]] = {
        "first page": ("/jobs", {}),
        "deep page": ("/jobs", {"cursor": middles.ended}),
        "searches, deep": ("/searches", {"cursor": middles.ended}),
        "queued, deep": ("/jobs", {"status": "queued", "cursor": middles.queued}),
        "succeeded": ("/jobs", {"status": "succeeded"}),
        "running searches": ("/searches", {"status": "running"}),
        "common label, deep": ("/jobs", {"label": COMMON, "cursor": middles.ended}),
        "common label, failed": ("/searches", {"label": COMMON, "status": "failed", "limit": 2}),
        "rare label": ("/jobs", {"label": RARE}),
        "by accuracy": ("/jobs", {"sort": "-validation_accuracy", "limit": 100}),
        "by accuracy, succeeded": ("/jobs", {"sort": "validation_accuracy", "status": "succeeded"}),
        "by name": ("/jobs", {"sort": "name"}),
        "common word": ("/jobs", {"q": COMMON}),
        "common word, by accuracy": ("/jobs", {"q": COMMON, "sort": "-validation_accuracy"}),
        "rare word": ("/jobs", {"q": RARE}),
        "rare word, by accuracy": ("/jobs", {"q": RARE, "sort": "-validation_accuracy"}),
    }
    while True:
        for name, (path, params) in pages.items():
            await timed.send(name, "GET", path, params=params)
            await asyncio.sleep(_PAUSE)
        await timed.send("workers", "GET", "/workers")


async def submit(timed: Timed, body: dict[str, Any], wanted: asyncio.Semaphore) -> None:
    """Submit a job on each request."""
    while True:
        await wanted.acquire()
        await timed.send("submit", "POST", "/searches", json=body)
