"""Turns every error into RFC 9457 problem details; a browser at an address without a route gets a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from psycopg import OperationalError as DriverError
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from api.http.not_found_page import NOT_FOUND
from api.schemas.families import without_family
from darts_core import errors
from darts_core.errors import ConfigError
from darts_core.validation import MOST_ERRORS, FieldError, field_errors, plain

MEDIA_TYPE = "application/problem+json"
# `detail` names the first few invalid fields and counts the rest; `errors` lists more of them.
_IN_DETAIL: Final = 5
_LONGEST_NAME, _LONGEST_MESSAGE, _LONGEST_DETAIL = 100, 1000, 4000
_log = structlog.get_logger(__name__)


Loc = tuple[str | int, ...]


class FieldProblem(BaseModel):
    """An invalid field: its location, the error and the allowed values."""

    loc: list[str | int]
    msg: str
    value: str | None = Field(None, description="the rejected value as JSON, possibly truncated")
    allowed: list[str] | None = Field(None, description="the allowed names or values")
    nearest: str | None = Field(None, description="the allowed name closest to the value")

    @classmethod
    def of(cls, error: FieldError, part: str, at: Callable[[Loc], Loc] = lambda loc: loc) -> FieldProblem:
        """The problem of a field in one part of the request: `body`, `query`, `path` or `header`."""
        allowed = None if error.allowed is None else list(error.allowed)
        loc = [part, *at(error.loc)]
        return cls(loc=loc, msg=error.msg, value=error.value, allowed=allowed, nearest=error.nearest)


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = Field(None, description=f"the first {MOST_ERRORS} errors")
    more: int | None = Field(None, description="number of errors not listed")


class ProblemError(Exception):
    """Ends a request with this problem document."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: list[FieldProblem] | None = None,
        more: int = 0,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.more, self.headers = status, detail, errors, more, headers


def not_found(what: str, key: object) -> ProblemError:
    """404 that names the missing object."""
    return ProblemError(404, f"no {what} {key}")


def conflict(detail: str) -> ProblemError:
    """409 for a well-formed request that the object's state does not allow."""
    return ProblemError(409, detail)


def invalid(field: str, msg: str) -> ProblemError:
    """422 for one field of the body."""
    return ProblemError(422, f"{field}: {msg}", errors=[FieldProblem(loc=["body", field], msg=msg)])


def invalid_query(name: str, msg: str) -> ProblemError:
    """422 for one query parameter."""
    return ProblemError(422, f"{name}: {msg}", errors=[FieldProblem(loc=["query", name], msg=msg)])


def invalid_fields(error: ValidationError, model: Any, at: Callable[[Loc], Loc] = lambda loc: loc) -> ProblemError:
    """422 for every invalid field of a body validated as `model`. at: maps a field's location to its place in
    the body.
    """
    errors = error.errors(include_url=False)
    fields = [FieldProblem.of(told, "body", at=at) for told in field_errors(errors, model)]
    return _invalid(fields, len(errors))


@contextmanager
def relocated(at: Callable[[Loc], Loc], model: Any = None) -> Iterator[None]:
    """Raise the errors of a part of the body with their fields' places in the body. at: maps a field's location.

    model: whose fields an error about an unknown one lists.
    """
    try:
        yield
    except ConfigError as error:
        raise ConfigError([errors.Problem(at(p.loc), p.msg) for p in error.problems]) from error
    except ValidationError as error:
        raise invalid_fields(error, model, at) from error
    except ProblemError as error:
        fields = [f.model_copy(update={"loc": ["body", *at(tuple(f.loc[1:]))]}) for f in error.errors or []]
        raise ProblemError(error.status, error.detail, errors=fields or None, headers=error.headers) from error


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI entries for the problems a route may answer with."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def response_to(error: Exception, path: str) -> JSONResponse | None:
    """The response to an error raised before routing; None for an unexpected error."""
    if isinstance(error, ProblemError):
        return _problem_response(error)
    if isinstance(error, DataError):
        return _problem_response(ProblemError(422, _unstorable(error)))
    return _database_unreachable(error, path) if is_unreachable(error) else None


def is_unreachable(error: Exception) -> bool:
    """Whether the error means that the database is unreachable."""
    return isinstance(error, _UNREACHABLE) or (isinstance(error, DBAPIError) and _is_shutting_down(error))


def install(app: FastAPI) -> None:
    """Register a handler for every error that can leave the app."""

    async def _handle(request: Request, error: Exception) -> JSONResponse:
        return response_to(error, request.url.path) or await _unexpected(request, error)

    for cause in (ProblemError, DBAPIError, *_UNREACHABLE):
        app.add_exception_handler(cause, _handle)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        if error.status_code == HTTPStatus.NOT_FOUND and "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(NOT_FOUND, status_code=404)
        return _response(error.status_code, str(error.detail), headers=dict(error.headers or {}))

    @app.exception_handler(ConfigError)
    async def _config(_: Request, error: ConfigError) -> JSONResponse:
        fields = [FieldProblem(loc=["body", *p.loc], msg=p.msg) for p in error.problems[:MOST_ERRORS]]
        return _problem_response(_invalid(fields, len(error.problems)))

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
        body = getattr(request.scope.get("route"), "body_field", None)
        model = None if body is None else Annotated[body.field_info.annotation, *body.field_info.metadata, None]
        return _problem_response(_validation_problem(error.errors(), model))

    app.add_exception_handler(Exception, _unexpected)


_UNREACHABLE = (OperationalError, InterfaceError, PoolTimeout, DriverError, ConnectionError)


def _unstorable(error: DataError) -> str:
    """Why the database rejects a value. The value is the request's: the service's own values are valid."""
    if "NUL" in str(error.orig):
        return "a text contains a NUL character, which cannot be stored: remove it"
    return f"a value cannot be stored ({str(error.orig).splitlines()[0][:200]})"


def _is_shutting_down(error: DBAPIError) -> bool:
    # A server that is shutting down ends statements with errors of many classes.
    return error.connection_invalidated or getattr(error.orig, "sqlstate", "") in {"57P01", "57P02", "57P03"}


def _database_unreachable(error: Exception, path: str) -> JSONResponse:
    _log.warning("database_unreachable", path=path, error=type(error).__name__)
    detail = (
        "the database is unreachable: retry shortly, with an Idempotency-Key when creating a job, "
        "since this request may have taken effect"
    )
    return _response(503, detail, headers={"Retry-After": "2"})


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    _log.error("unexpected_error", path=request.url.path, exc_info=error)
    return _response(500, "an unexpected error; the service's log has the details")


def _validation_problem(errors: Sequence[Mapping[str, Any]], model: Any) -> ProblemError:
    """422 for FastAPI's errors, whose locations begin with the part of the request."""
    listed = errors[:MOST_ERRORS]
    found = field_errors([{**error, "loc": error["loc"][1:]} for error in listed], model)
    fields = [
        FieldProblem.of(told, str(error["loc"][0]), at=without_family)
        for error, told in zip(listed, found, strict=True)
    ]
    return _invalid(fields, len(errors))


def _invalid(fields: list[FieldProblem], found: int) -> ProblemError:
    """422 for these fields, out of `found` invalid ones."""
    detail = "; ".join(f"{'.'.join(map(str, f.loc))}: {f.msg}" for f in fields[:_IN_DETAIL])
    if found > _IN_DETAIL:
        detail += f"; and {found - _IN_DETAIL:,} more"
    return ProblemError(422, detail, errors=fields, more=found - len(fields))


def _problem_response(error: ProblemError) -> JSONResponse:
    return _response(error.status, error.detail, error.errors, error.headers, error.more)


def _response(
    status: int,
    detail: str,
    errors: list[FieldProblem] | None = None,
    headers: dict[str, str] | None = None,
    more: int = 0,
) -> JSONResponse:
    """A problem response, its texts truncated and free of characters that JSON cannot carry."""
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=plain(detail, _LONGEST_DETAIL),
        errors=None if errors is None else [_sendable(field) for field in errors],
        more=more or None,
    )
    body = problem.model_dump(mode="json", exclude_none=True)
    return JSONResponse(body, status_code=status, headers=headers, media_type=MEDIA_TYPE)


def _sendable(field: FieldProblem) -> FieldProblem:
    loc = [plain(part, _LONGEST_NAME) if isinstance(part, str) else part for part in field.loc]
    return field.model_copy(update={"loc": loc, "msg": plain(field.msg, _LONGEST_MESSAGE)})
