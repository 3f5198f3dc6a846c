"""HTTP to the service: one place that turns answers into errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from client.errors import ProblemError, ServiceUnreachableError


def _is_local(url: str) -> bool:
    host = httpx.URL(url).host
    return host in ("localhost", "::1") or host.startswith("127.")


class Connection:
    """Sends requests to one service."""

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 30.0) -> None:
        """timeout: seconds that an answer may take."""
        self.url = url.rstrip("/")
        try:
            self._http = httpx.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
                # A proxy that the environment names knows nothing of this machine's loopback.
                trust_env=not _is_local(self.url),
            )
        except httpx.InvalidURL as error:
            raise ServiceUnreachableError(f"{url!r} is not a URL: {error}") from error

    def close(self) -> None:
        """Drop the connections."""
        self._http.close()

    def send(self, method: str, path: str, **what: Any) -> httpx.Response:
        """A request and its whole answer."""
        try:
            answer = self._http.request(method, path, **what)
        except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
            raise self._unreachable(error) from error
        self.check(answer)
        return answer

    @contextmanager
    def stream(self, path: str, *, read_timeout: float, **what: Any) -> Iterator[httpx.Response]:
        """An answer whose body is read as it comes; `read_timeout`: seconds of silence to put up with."""
        timeout = httpx.Timeout(30, connect=5, read=read_timeout)
        try:
            with self._http.stream("GET", path, timeout=timeout, **what) as answer:
                if answer.is_error:
                    answer.read()
                self.check(answer)
                yield answer
        except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
            raise self._unreachable(error) from error

    def check(self, answer: httpx.Response) -> None:
        """Raise what an error answer says."""
        if answer.is_success or answer.status_code == 304:
            return
        try:
            problem = answer.json()
            detail, errors = str(problem["detail"]), problem.get("errors")
        except (ValueError, KeyError, TypeError, AttributeError):
            detail, errors = f"{answer.status_code} {answer.reason_phrase}", None
        if answer.status_code in (502, 503, 504):
            raise ServiceUnreachableError(f"{self.url}: {detail}")
        raise ProblemError(answer.status_code, detail, errors)

    def _unreachable(self, error: Exception) -> ServiceUnreachableError:
        return ServiceUnreachableError(
            f"cannot reach the service at {self.url} ({error or type(error).__name__}); start one with "
            "`./dartboard up`, or name another with --url or DARTBOARD_URL"
        )
