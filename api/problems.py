"""Errors as RFC 9457 problem details: one shape for all of them, whoever raises."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg import OperationalError as DriverError
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from api.schemas.families import without_family
from darts_core.errors import ConfigError

MEDIA_TYPE = "application/problem+json"
_log = structlog.get_logger(__name__)


class FieldProblem(BaseModel):
    """One bad field: where it stands and what is allowed there."""

    loc: list[str | int]
    msg: str


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None


class ProblemError(Exception):
    """Ends a request with this problem."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: list[FieldProblem] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, errors, headers


def not_found(what: str, key: object) -> ProblemError:
    """404, naming what was asked for."""
    return ProblemError(404, f"no {what} {key}")


def conflict(detail: str) -> ProblemError:
    """409: the request is well formed, but not in this state."""
    return ProblemError(409, detail)


def invalid(field: str, msg: str) -> ProblemError:
    """422 for one field of the body."""
    return ProblemError(422, f"{field}: {msg}", errors=[FieldProblem(loc=["body", field], msg=msg)])


def invalid_query(name: str, msg: str) -> ProblemError:
    """422 for one parameter of the URL."""
    return ProblemError(422, f"{name}: {msg}", errors=[FieldProblem(loc=["query", name], msg=msg)])


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the problems a route may answer with."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def answer_to(error: Exception, path: str) -> JSONResponse | None:
    """The answer to what can go wrong before a route is reached; None for what nobody expected."""
    if isinstance(error, ProblemError):
        return _answer(error.status, error.detail, error.errors, error.headers)
    return _database_away(error, path) if is_unreachable(error) else None


def is_unreachable(error: Exception) -> bool:
    """Whether the error says that the database cannot be reached."""
    return isinstance(error, _UNREACHABLE) or (isinstance(error, DBAPIError) and _is_shutting_down(error))


def install(app: FastAPI) -> None:
    """Give every error that can leave the app its problem document."""

    async def _answered(request: Request, error: Exception) -> JSONResponse:
        return answer_to(error, request.url.path) or await _unexpected(request, error)

    for cause in (ProblemError, DBAPIError, *_UNREACHABLE):
        app.add_exception_handler(cause, _answered)

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        return _answer(error.status_code, str(error.detail), headers=dict(error.headers or {}))

    @app.exception_handler(ConfigError)
    async def _config(_: Request, error: ConfigError) -> JSONResponse:
        fields = [FieldProblem(loc=["body", *p.loc], msg=p.msg) for p in error.problems]
        return _answer(422, str(error), fields)

    @app.exception_handler(RequestValidationError)
    async def _validation(_: Request, error: RequestValidationError) -> JSONResponse:
        fields = [FieldProblem(loc=without_family(e["loc"]), msg=e["msg"]) for e in error.errors()]
        detail = "; ".join(f"{'.'.join(map(str, f.loc))}: {f.msg}" for f in fields)
        return _answer(422, detail, fields)

    app.add_exception_handler(Exception, _unexpected)


_UNREACHABLE = (OperationalError, InterfaceError, PoolTimeout, DriverError, ConnectionError)


def _is_shutting_down(error: DBAPIError) -> bool:
    # A server that is shutting down ends statements with errors of many classes.
    return error.connection_invalidated or getattr(error.orig, "sqlstate", "") in {"57P01", "57P02", "57P03"}


def _database_away(error: Exception, path: str) -> JSONResponse:
    _log.warning("database_unreachable", path=path, error=type(error).__name__)
    detail = (
        "the database cannot be reached at the moment: try again shortly, with an Idempotency-Key where a job is made, "
        "since it is not known whether this request was done"
    )
    return _answer(503, detail, headers={"Retry-After": "2"})


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    _log.error("unexpected_error", path=request.url.path, exc_info=error)
    return _answer(500, "an unexpected error; the service's log has the details")


def _answer(
    status: int,
    detail: str,
    errors: list[FieldProblem] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors)
    body = problem.model_dump(mode="json", exclude_none=True)
    return JSONResponse(body, status_code=status, headers=headers, media_type=MEDIA_TYPE)
