"""Sends HTTP requests to the service and turns error answers into exceptions."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json

from client.errors import DartboardError, NotDartboardError, ProblemError, ServiceUnreachableError

Model = TypeVar("Model", bound=BaseModel)
Value = TypeVar("Value")
_PROBLEM: Final = "application/problem+json"
# Raised by httpx and the serializer for a URL, key or body that cannot be sent.
_UNSENDABLE: Final = (ValueError, TypeError, httpx.InvalidURL, RecursionError)


@cache
def _authorities() -> ssl.SSLContext:
    """This machine's certificate authorities, cached: loading them takes longer than most requests."""
    return httpx.create_ssl_context()


def _is_local(url: str) -> bool:
    host = httpx.URL(url).host
    return host in ("localhost", "::1") or host.startswith("127.")


class Connection:
    """HTTP connections to one service."""

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 30.0) -> None:
        """timeout: in seconds, for each answer."""
        if key is not None and not (key.isascii() and key.isprintable()):
            raise ProblemError(401, "the API key holds characters that no key has")
        self.url = url.rstrip("/")
        try:
            self._http = httpx.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=httpx.Timeout(timeout, connect=min(timeout, 5.0)),
                # A proxy from the environment cannot reach this machine's loopback.
                trust_env=not _is_local(self.url),
                verify=_authorities(),
            )
        except httpx.InvalidURL as error:
            raise ServiceUnreachableError(f"{url!r} is not a URL: {error}") from error
        except (ValueError, OSError) as error:  # uses the environment's proxies and certificates
            raise DartboardError(f"the connection cannot be set up: {error}") from error

    def close(self) -> None:
        self._http.close()

    def send(self, method: str, path: str, **what: Any) -> httpx.Response:
        """Send a request and return its complete answer. json: anything that pydantic can serialise, UUIDs and paths
        too.
        """
        request = self._built(method, path, **what)
        try:
            answer = self._http.send(request)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        self.check(answer)
        return answer

    def read(self, kind: type[Model], method: str, path: str, **what: Any) -> Model:
        """Send a request and parse the answer as this model."""
        answer = self.send(method, path, **what)
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._foreign(answer) from error

    def read_as(self, kind: TypeAdapter[Value], method: str, path: str, **what: Any) -> Value:
        """Send a request and parse the answer as a type that is not a model."""
        answer = self.send(method, path, **what)
        try:
            return kind.validate_json(answer.content)
        except ValidationError as error:
            raise self._foreign(answer) from error

    @contextmanager
    def stream(self, path: str, *, read_timeout: float, **what: Any) -> Iterator[httpx.Response]:
        """Yield an answer whose body is read incrementally; `read_timeout`: maximum seconds of silence."""
        timeout = httpx.Timeout(30, connect=5, read=read_timeout)
        request = self._built("GET", path, timeout=timeout, **what)
        answer = None
        try:
            answer = self._http.send(request, stream=True)
            if not answer.is_success:
                answer.read()
            self.check(answer)
            yield answer
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        finally:
            if answer is not None:
                answer.close()

    def check(self, answer: httpx.Response) -> None:
        """Raise the exception for an error answer."""
        if answer.is_success or answer.status_code == 304:
            return
        try:
            problem = answer.json()
            detail, errors = str(problem["detail"]), problem.get("errors")
        except (ValueError, KeyError, TypeError, AttributeError):
            detail, errors = f"{answer.status_code} {answer.reason_phrase}", None
        if answer.status_code in (502, 503, 504):
            raise ServiceUnreachableError(f"{self.url}: {detail}")
        if not answer.headers.get("content-type", "").startswith(_PROBLEM):
            raise self._foreign(answer)
        raise ProblemError(answer.status_code, detail, errors)

    def _built(self, method: str, path: str, *, json: Any = None, **what: Any) -> httpx.Request:
        try:
            if json is not None:
                what["content"] = to_json(json)
                what["headers"] = {**what.get("headers", {}), "Content-Type": "application/json"}
            return self._http.build_request(method, path, **what)
        except _UNSENDABLE as error:
            raise ProblemError(422, f"this cannot be sent: {error}") from error

    def _foreign(self, answer: httpx.Response) -> NotDartboardError:
        said = f"{answer.status_code} {answer.reason_phrase}".strip()
        return NotDartboardError(
            f"{answer.request.url} answers {said}, but not as Dartboard does: is {self.url} the service's URL, "
            "and of the same version?"
        )

    def _unreachable(self, error: Exception) -> ServiceUnreachableError:
        return ServiceUnreachableError(
            f"cannot reach the service at {self.url} ({error or type(error).__name__}); start one with "
            "`./dartboard up`, or name another with --url or DARTBOARD_URL"
        )
