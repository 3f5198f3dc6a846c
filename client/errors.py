"""Exceptions of the SDK."""

from __future__ import annotations

from typing import Any


class DartboardError(Exception):
    """Base class of the SDK's exceptions."""


class ServiceUnreachableError(DartboardError):
    """The URL does not answer, or the service's database or broker is down."""


class NotDartboardError(ServiceUnreachableError):
    """Another program answers at the URL."""


class ProblemError(DartboardError):
    """The service refused a request (RFC 9457): `status`, `detail` and the invalid fields."""

    def __init__(self, status: int, detail: str, errors: list[dict[str, Any]] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors or []


class DownloadError(DartboardError):
    """A downloaded file differs from the service's."""


class CapsuleError(DartboardError):
    """A file that is no capsule, or a damaged one; or a job that can have none."""
