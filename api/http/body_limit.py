"""How large a request's body may be, and how many values its JSON may hold: checked before anything is made of it.

How much of a file really comes is counted by the artifact store.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import ProblemError, answer_to

# The largest honest body of a person is a text with a genotype in it, escaped; of a worker, a report with log lines.
LARGEST_BODY: Final = 2**20
LARGEST_REPORT: Final = 4 * 2**20
# A validator's time, and the length of its complaint, go with the number of values.
MOST_VALUES: Final = 4_000
MOST_REPORTED: Final = 30_000
# What a form has besides its file.
_FORM_BYTES: Final = 2**20
_UPLOADS: Final = {"/checkpoints", "/datasets"}
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class BodyLimit:
    """Answers 413 to a larger body, announced or not, before it is all in memory, and 422 to one of too many values."""

    def __init__(self, app: ASGIApp, largest_file: int) -> None:
        self._app, self._largest_file = app, largest_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its body read and measured; a file is left to be streamed."""
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
                receive = _replayed(body, receive)
        except ProblemError as error:
            answer = answer_to(error, scope["path"])
            assert answer is not None
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def _read(receive: Receive, most: int) -> bytes | None:
    """The whole body; None when its sender has gone. Raises ProblemError 413."""
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


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that has the body in one piece, then what comes behind it."""
    given = False

    async def next_message() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return next_message


def _check_values(body: bytes, most: int) -> None:
    """Raises ProblemError 422 for more than `most` values, counted without parsing: by what separates them."""
    if _separators(body) <= most:
        return
    # What lies in strings separates nothing. So many are looked at as may stand there, each with a name.
    bare, strings = _STRING.subn(b"", body, count=2 * most + 1)
    if strings > 2 * most or _separators(bare) > most:
        raise ProblemError(422, f"the body has more than {most:,} values: no request needs as many")


def _separators(body: bytes) -> int:
    return sum(map(body.count, (b",", b"[", b"{")))


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, f"the body is larger than the {most:,} bytes that are read")


def brings_a_file(scope: Scope) -> bool:
    """Whether the body is a file, which goes straight to the disk."""
    if "/files/" in scope["path"]:
        return True
    kind = dict(scope["headers"]).get(b"content-type", b"")
    return scope["path"] in _UPLOADS and bool(kind.startswith(b"multipart/form-data"))
