"""What the SDK raises."""

from __future__ import annotations

from typing import Any


class DartboardError(Exception):
    """Base of the SDK's errors."""


class ServiceUnreachableError(DartboardError):
    """No answer from the URL, or the service's own parts are away."""


class NotDartboardError(ServiceUnreachableError):
    """Another program than Dartboard answers at the URL."""


class ProblemError(DartboardError):
    """The service refused a request (RFC 9457): `status`, `detail` and the bad fields."""

    def __init__(self, status: int, detail: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors or []


class DownloadError(DartboardError):
    """A file did not arrive as the service has it."""
