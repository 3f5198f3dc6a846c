"""Limits the size of request bodies and the number of values in their JSON before any parsing.

The artifact store counts the bytes of uploaded files.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import ProblemError, response_to

# The largest legitimate body from a user holds an escaped genotype; from a worker, a report with log lines.
LARGEST_BODY: Final = 2**20
LARGEST_REPORT: Final = 4 * 2**20
# Validation time and the length of the error response grow with the number of values.
MOST_VALUES: Final = 4_000
MOST_REPORTED: Final = 30_000
# The form fields next to the file.
_FORM_BYTES: Final = 2**20
_UPLOADS: Final = {"/checkpoints", "/datasets"}
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class BodyLimit:
    """Responds 413 to a body over the limit, before all of it is in memory, and 422 to one with too many values."""

    def __init__(self, app: ASGIApp, largest_file: int) -> None:
        self._app, self._largest_file = app, largest_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read and measure the body, then pass the request on; a file's body is not read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        file, worker = brings_a_file(scope), scope["path"].startswith("/worker/")
        most = self._largest_file + _FORM_BYTES if file else LARGEST_REPORT if worker else LARGEST_BODY
        announced = headers.get(b"content-length", b"0")
        try:
            if announced.isdigit() and int(announced[:20]) > most:
                raise _too_large(most)
            if not file and (b"content-length" in headers or b"transfer-encoding" in headers):
                body = await _read(receive, most)
                if body is None:
                    return
                _check_values(body, MOST_REPORTED if worker else MOST_VALUES)
                receive = _replay(body, receive)
        except ProblemError as error:
            answer = response_to(error, scope["path"])
            assert answer is not None
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def _read(receive: Receive, most: int) -> bytes | None:
    """The whole body; None if the client disconnects. Raises ProblemError 413."""
    pieces: list[bytes] = []
    read, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        read, more = read + len(pieces[-1]), message.get("more_body", False)
        if read > most:
            raise _too_large(most)
    return b"".join(pieces)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body in one piece, then the original's messages."""
    given = False

    async def next_message() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return next_message


def _check_values(body: bytes, most: int) -> None:
    """Raises ProblemError 422 for more than `most` values, counted by their separators without parsing."""
    if _separators(body) <= most:
        return
    # Separators inside strings do not count. Only as many strings are removed as `most` named values can have.
    bare, strings = _STRING.subn(b"", body, count=2 * most + 1)
    if strings > 2 * most or _separators(bare) > most:
        raise ProblemError(422, f"the body has more than {most:,} values, more than any request needs")


def _separators(body: bytes) -> int:
    return sum(map(body.count, (b",", b"[", b"{")))


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, f"the body is larger than the limit of {most:,} bytes")


def brings_a_file(scope: Scope) -> bool:
    """Whether the body holds a file, which is streamed to disk."""
    if "/files/" in scope["path"]:
        return True
    kind = dict(scope["headers"]).get(b"content-type", b"")
    return scope["path"] in _UPLOADS and bool(kind.startswith(b"multipart/form-data"))
