"""Sends the SDK's requests and turns the answers into models and exceptions."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json

from client.errors import DartboardError, NotDartboardError, ProblemError, ServiceUnreachableError
from client.transport import Transport, problem_of

Model = TypeVar("Model", bound=BaseModel)
Value = TypeVar("Value")
_PROBLEM: Final = "application/problem+json"
# Raised by httpx and the serializer for a URL, key or body that cannot be sent.
_UNSENDABLE: Final = (ValueError, TypeError, httpx.InvalidURL, RecursionError)


def _is_local(url: str) -> bool:
    host = httpx.URL(url).host
    return host in ("localhost", "::1") or host.startswith("127.")


class Connection(Transport):
    """HTTP connections to one service. A request's `json` is anything that pydantic can serialise."""

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 30.0) -> None:
        """timeout: in seconds, for each answer."""
        if key is not None and not (key.isascii() and key.isprintable()):
            raise ProblemError(401, "the API key holds invalid characters")
        self.url = url.rstrip("/")
        try:
            # A proxy from the environment cannot reach this machine's loopback.
            proxies = not _is_local(self.url)
            super().__init__(self.url, key, timeout=timeout, connect=min(timeout, 5.0), proxies=proxies)
        except httpx.InvalidURL as error:
            raise ServiceUnreachableError(f"{url!r} is not a URL: {error}") from error
        except (ValueError, OSError) as error:  # uses the environment's proxies and certificates
            raise DartboardError(f"the connection cannot be set up: {error}") from error

    def read(self, kind: type[Model], method: str, path: str, **options: Any) -> Model:
        """Send a request and parse the answer as this model."""
        answer = self.send(method, path, **options)
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            raise self._foreign(answer) from error

    def read_as(self, kind: TypeAdapter[Value], method: str, path: str, **options: Any) -> Value:
        """Send a request and parse the answer as a type that is not a model."""
        answer = self.send(method, path, **options)
        try:
            return kind.validate_json(answer.content)
        except ValidationError as error:
            raise self._foreign(answer) from error

    def check(self, answer: httpx.Response) -> None:
        """Raise the exception for an error answer."""
        if answer.is_success or answer.status_code == 304:
            return
        problem = problem_of(answer)
        detail = str(problem.get("detail", f"{answer.status_code} {answer.reason_phrase}"))
        if answer.status_code in (502, 503, 504):
            raise ServiceUnreachableError(f"{self.url}: {detail}")
        if not answer.headers.get("content-type", "").startswith(_PROBLEM):
            raise self._foreign(answer)
        raise ProblemError(answer.status_code, detail, problem.get("errors"))

    def build(self, method: str, path: str, *, json: Any = None, **options: Any) -> httpx.Request:
        try:
            if json is not None:
                options["content"] = to_json(json)
                options["headers"] = {**options.get("headers", {}), "Content-Type": "application/json"}
            return super().build(method, path, **options)
        except _UNSENDABLE as error:
            raise ProblemError(422, f"this cannot be sent: {error}") from error

    def _foreign(self, answer: httpx.Response) -> NotDartboardError:
        said = f"{answer.status_code} {answer.reason_phrase}".strip()
        return NotDartboardError(
            f"{answer.request.url} answers {said}, but not as Dartboard does: is {self.url} the service's URL, "
            "and of the same version?"
        )

    def unreachable(self, error: httpx.HTTPError) -> ServiceUnreachableError:
        return ServiceUnreachableError(
            f"cannot reach the service at {self.url} ({error or type(error).__name__}); start one with "
            "`./dartboard up`, or name another with --url or DARTBOARD_URL"
        )
