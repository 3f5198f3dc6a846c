"""Defines the responses of a store that fails: 404, 507 or 503, each with the cause."""

from __future__ import annotations

import errno
from typing import Final

from api.http.problems import ProblemError

# A file system remounted read-only after an I/O error accepts no more than a full one.
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class StoreFullError(ProblemError):
    """A 507: the store cannot take the file; its partial data has been removed."""

    def __init__(self, detail: str) -> None:
        super().__init__(507, detail)


def gone(key: str) -> ProblemError:
    return ProblemError(404, f"the file {key} is no longer in the store")


def unusable(error: OSError) -> ProblemError:
    """The response to a disk error: StoreFullError if nothing can be written, else 503."""
    cause = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return StoreFullError(f"the artifact store is full ({cause})")
    return ProblemError(
        503,
        f"the artifact store is unavailable ({cause}): check DARTBOARD_ARTIFACTS, its disk and its permissions",
        headers={"Retry-After": "5"},
    )
