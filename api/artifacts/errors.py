"""The answers of a store that cannot do its work: 404, 507 or 503, each with the cause."""

from __future__ import annotations

import errno
from typing import Final

from api.http.problems import ProblemError

# A file system that turned read-only after an I/O error takes no more than a full one.
_NO_ROOM: Final = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class StoreFullError(ProblemError):
    """507: the store cannot take the file; what was written of it is gone again."""

    def __init__(self, detail: str) -> None:
        super().__init__(507, detail)


def gone(key: str) -> ProblemError:
    """404."""
    return ProblemError(404, f"the file {key} is no longer in the store")


def unusable(error: OSError) -> ProblemError:
    """The answer to an error of the store's disk: StoreFullError where nothing can be written, else 503."""
    said = error.strerror or str(error)
    if error.errno in _NO_ROOM:
        return StoreFullError(f"the artifact store has no room left ({said})")
    return ProblemError(
        503,
        f"the artifact store cannot be used at the moment ({said}): check DARTBOARD_ARTIFACTS, its disk and its "
        "permissions",
        headers={"Retry-After": "5"},
    )
