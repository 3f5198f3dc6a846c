"""Opens the stored runs that a comparison by a ledger's protocol reads, and adds to."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.ledger.sources import Searches, Source


def source_of(
    protocol: Searches, dataset: str | None, results: Path | None, processes: int
) -> AbstractContextManager[Source]:
    """A source of runs that are done on these images where they are not stored; of stored ones alone for None."""
    from benchmarks.ledger.sources import running, stored
    from benchmarks.ledger.store import RUNS, Store
    from client.output import remarks

    store = Store(results or RUNS)
    if dataset is None:
        return nullcontext(stored(protocol, store))
    return running(protocol, store, dataset, processes=processes, say=remarks.print)
