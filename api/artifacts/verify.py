"""Verifies that a stored file is intact."""

from __future__ import annotations

import errno

from api.artifacts.store import Artifacts, Stored
from api.http.problems import ProblemError


async def flaw(store: Artifacts, stored: Stored, *, digest: bool = True, afresh: bool = False) -> str | None:
    """How the file differs from the stored one, as a verb phrase; None if it is intact.

    digest: also compare the checksum, which reads a local file unless it is known to be unchanged. afresh: read the
    file in any case. Raises ProblemError if the store is unavailable.
    """
    try:
        size = await store.size(stored.key)
        if size is None:
            return "is missing"
        if size != stored.size:
            return f"has {size:,} bytes instead of {stored.size:,}"
        reads = afresh or (digest and not store.remote)
        found = await store.stat(stored.key, afresh=afresh) if reads else stored
    except ProblemError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EIO:
            return f"cannot be read ({error.__cause__.strerror})"
        raise
    if found is None:
        return "is missing"
    if found.sha256 != stored.sha256:
        return f"has the checksum {found.sha256} instead of {stored.sha256}"
    return None
