"""An attempt as a worker has claimed it."""

from __future__ import annotations

from uuid import uuid4

from api.schemas.jobs import JobKind
from api.schemas.worker import Claimed


def an_attempt() -> Claimed:
    return Claimed(
        job_id=uuid4(),
        kind=JobKind.SEARCH,
        name=None,
        spec={},
        attempt_id=uuid4(),
        attempt=1,
        token="secret-token",
        lease_seconds=10,
        threads=1,
        resume=None,
    )
