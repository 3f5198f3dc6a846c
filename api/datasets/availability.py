"""Determines whether the workers hold the files of a published data set, from their reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api.schemas.datasets import Availability
from darts_core.data.available_sets import DOWNLOADED, SHIPPED

Holdings = Mapping[str, Sequence[str] | None]
"""The published sets that each live worker holds, by the worker's name; None for a worker that reports none."""


def availability_of(name: str, holdings: Holdings) -> tuple[Availability, list[str] | None]:
    """The availability of a published set and the workers that hold it; None for a set that every worker has.

    A set is ready when every live worker that reports its sets holds it, since any of them may claim the job.
    """
    if name in SHIPPED:
        return Availability.READY, None
    telling = {worker: held for worker, held in holdings.items() if held is not None}
    holding = sorted(worker for worker, held in telling.items() if name in held)
    if telling and len(holding) == len(telling):
        return Availability.READY, holding
    return (Availability.DOWNLOADS if name in DOWNLOADED else Availability.NEEDS_FILES), holding
