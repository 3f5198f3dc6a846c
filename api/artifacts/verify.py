"""Whether a stored file is still the one that was stored."""

from __future__ import annotations

import errno

from api.artifacts.store import Artifacts, Stored
from api.http.problems import ProblemError


async def flaw(store: Artifacts, stored: Stored, *, digest: bool = True, afresh: bool = False) -> str | None:
    """How the file differs from what was stored, as a clause that begins with a verb; None for an intact one.

    digest: compare the checksum, too, which reads a file of this machine where it is not known to be unchanged.
    afresh: read it in any case.
    Raises ProblemError where the store itself cannot be used.
    """
    try:
        size = await store.size(stored.key)
        if size is None:
            return "is missing"
        if size != stored.size:
            return f"has {size:,} bytes, and {stored.size:,} were stored"
        reads = afresh or (digest and not store.remote)
        found = await store.stat(stored.key, afresh=afresh) if reads else stored
    except ProblemError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EIO:
            return f"cannot be read ({error.__cause__.strerror})"
        raise
    if found is None:
        return "is missing"
    if found.sha256 != stored.sha256:
        return f"has the checksum {found.sha256}, and {stored.sha256} was stored"
    return None
