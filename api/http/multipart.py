"""Parses multipart/form-data (RFC 7578) as a stream: files are neither buffered in memory nor written twice."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from api.http.problems import ProblemError, invalid

_MOST_PARTS: Final = 20
_LONGEST_FIELD: Final = 10_000
_LONGEST_HEADER: Final = 8_000
_DRAINED_BYTES: Final = 64 * 2**20
_Event = tuple[str, bytes]


@dataclass(frozen=True)
class Part:
    """A field or a file of a form.

    filename: set for files only. content: must be consumed before the next part is requested.
    """

    name: str
    filename: str | None
    content: AsyncIterator[bytes]

    async def text(self) -> str:
        """A field's value. Raises ProblemError 422 if it is too long or not UTF-8."""
        value = b""
        async for chunk in self.content:
            value += chunk
            if len(value) > _LONGEST_FIELD:
                raise invalid(self.name, f"is longer than {_LONGEST_FIELD:,} bytes; give the file a filename")
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise invalid(self.name, "is not UTF-8") from error


async def parts(request: Request) -> AsyncIterator[Part]:
    """The parts of the request's body. Raises ProblemError 400 for a malformed or truncated form."""
    _, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if not boundary:
        raise ProblemError(400, "the Content-Type of a form must name its boundary")
    try:
        events = _events(request, boundary)
        count = 0
        async for kind, disposition in events:
            if kind != "begin":
                continue  # the unread rest of the previous part
            count += 1
            if count > _MOST_PARTS:
                raise ProblemError(400, f"the form has more than {_MOST_PARTS} parts")
            _, names = parse_options_header(disposition)
            filename = names.get(b"filename")
            yield Part(
                names.get(b"name", b"").decode(errors="replace"),
                None if filename is None else filename.decode(errors="replace"),
                _content(events),
            )
    except (FormParserError, ValueError) as error:
        raise ProblemError(400, f"the form is malformed: {error}") from error
    except ClientDisconnect as error:
        raise ProblemError(400, "the upload was interrupted") from error


async def drain(request: Request) -> None:
    """Read on after a refusal, up to a bound, so that the client receives the response before the connection closes."""
    read = 0
    try:
        async for chunk in request.stream():
            read += len(chunk)
            if read > _DRAINED_BYTES:
                return
    except Exception:  # the body has been read, or the client has disconnected
        return


async def _content(events: AsyncIterator[_Event]) -> AsyncIterator[bytes]:
    async for kind, data in events:
        if kind == "end":
            return
        yield data


async def _events(request: Request, boundary: bytes) -> AsyncIterator[_Event]:
    """Yields `begin` with a part's Content-Disposition, then `data` events, then `end`."""
    found: deque[_Event] = deque()
    headers: dict[bytes, bytes] = {}
    field, value, complete = b"", b"", False

    def on_header_field(data: bytes, start: int, end: int) -> None:
        nonlocal field
        field += data[start:end]
        _check_header(field, value)

    def on_header_value(data: bytes, start: int, end: int) -> None:
        nonlocal value
        value += data[start:end]
        _check_header(field, value)

    def on_header_end() -> None:
        nonlocal field, value
        headers[field.lower()] = value
        field, value = b"", b""

    def on_headers_finished() -> None:
        found.append(("begin", headers.get(b"content-disposition", b"")))
        headers.clear()

    def on_end() -> None:
        nonlocal complete
        complete = True

    callbacks: Any = {
        "on_header_field": on_header_field,
        "on_header_value": on_header_value,
        "on_header_end": on_header_end,
        "on_headers_finished": on_headers_finished,
        "on_part_data": lambda data, start, end: found.append(("data", data[start:end])),
        "on_part_end": lambda: found.append(("end", b"")),
        "on_end": on_end,
    }
    parser = MultipartParser(boundary, callbacks)
    async for chunk in request.stream():
        parser.write(chunk)
        while found:
            yield found.popleft()
    if not complete:
        raise ProblemError(400, "the form ends before its closing boundary")


def _check_header(field: bytes, value: bytes) -> None:
    if len(field) + len(value) > _LONGEST_HEADER:
        raise ProblemError(400, f"a part of the form has a header of more than {_LONGEST_HEADER:,} bytes")
