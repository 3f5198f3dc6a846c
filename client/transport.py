"""Sends HTTP requests to one service. Its subclasses for the SDK and the worker choose the exceptions."""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Self

import httpx


@cache
def _authorities() -> ssl.SSLContext:
    """The certificate authorities of this machine or of SSL_CERT_FILE, cached: loading them is slow."""
    return httpx.create_ssl_context()


class Transport(ABC):
    """Persistent connections to one service with one API key."""

    def __init__(self, url: str, key: str | None, *, timeout: float, connect: float, proxies: bool) -> None:
        """timeout, connect: in seconds, for an answer and for a connection. proxies: use the environment's."""
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(timeout, connect=connect),
            trust_env=proxies,
            verify=_authorities(),
        )

    @abstractmethod
    def unreachable(self, error: httpx.HTTPError) -> Exception:
        """The exception for a request without an answer."""

    @abstractmethod
    def check(self, answer: httpx.Response) -> None:
        """Raise the exception for an error answer, whose body has been read."""

    def build(self, method: str, path: str, **options: Any) -> httpx.Request:
        """Build a request; options are httpx's."""
        return self._http.build_request(method, path, **options)

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request and return its complete answer."""
        request = self.build(method, path, **options)
        try:
            answer = self._http.send(request)
        except httpx.HTTPError as error:
            raise self.unreachable(error) from error
        self.check(answer)
        return answer

    @contextmanager
    def stream(self, path: str, **options: Any) -> Iterator[httpx.Response]:
        """Send a GET and yield an answer whose body is read incrementally."""
        request = self.build("GET", path, **options)
        answer = None
        try:
            answer = self._http.send(request, stream=True)
            if not answer.is_success:
                answer.read()
            self.check(answer)
            yield answer
        except httpx.HTTPError as error:
            raise self.unreachable(error) from error
        finally:
            if answer is not None:
                answer.close()

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """The members of a problem document (RFC 9457) with a `detail`; otherwise empty."""
    try:
        problem = answer.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) and "detail" in problem else {}
