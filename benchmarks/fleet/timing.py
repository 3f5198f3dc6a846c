"""Times requests by name."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import defaultdict
from statistics import median
from typing import Any, Final

import httpx

from benchmarks.watchers import at

_TRIES: Final = 5
# Loading the certificates is the slowest part of creating a client.
_NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Timed:
    """A client that records response times."""

    def __init__(self, http: httpx.AsyncClient, beside: Timed | None = None) -> None:
        """beside: a client that shares its records."""
        self._http = http
        self.seconds: dict[str, list[float]] = defaultdict(list) if beside is None else beside.seconds

    @property
    def count(self) -> int:
        """Number of answers so far."""
        return sum(map(len, self.seconds.values()))

    async def send(self, name: str, method: str, path: str, **what: Any) -> httpx.Response:
        """Send a request. Raises httpx.HTTPStatusError for an unsuccessful answer.

        A request without an answer is repeated within the same measurement: servers close idle connections. After 503
        the request is repeated when `Retry-After` allows.
        """
        start = time.perf_counter()
        for tries_left in reversed(range(_TRIES)):
            try:
                answer = await self._http.request(method, path, **what)
            except httpx.TransportError:
                if not tries_left:
                    raise
                continue
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
        self.seconds[name].append(time.perf_counter() - start)
        return answer.raise_for_status()

    def summary(self) -> dict[str, dict[str, float]]:
        """Median and 99th percentile in ms, and count, by name."""
        return {name: percentiles(values) for name, values in sorted(self.seconds.items())}


def client_of(url: str, key: str | None = None) -> httpx.AsyncClient:
    """A client of the service, with connections for any number of requests at once."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    # Close a connection before the service would.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2.0)
    return httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=60, trust_env=False, verify=_NO_TLS)


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Median and 99th percentile in ms, and count."""
    ms = sorted(1000 * value for value in seconds)
    return {"median_ms": round(median(ms), 1), "p99_ms": round(at(ms, 99), 1), "count": len(ms)}
