"""Does stored runs again, and compares cells and metrics to the last bit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.ledger.compare import compare
from benchmarks.ledger.protocol import BASELINE, Protocol, ProtocolError
from benchmarks.ledger.sources import running
from benchmarks.ledger.store import Run, Store
from darts_core.configs import SearchConfig
from darts_core.configs.method_fields import MethodName


def rerun(
    protocol: Protocol,
    methods: Sequence[MethodName],
    stored: Store,
    dataset: str,
    *,
    processes: int,
    say: Callable[[str], None],
) -> Iterator[tuple[Run, bool]]:
    """Do all runs of these methods and of the random cells again; yield each with whether it equals the stored one.

    Raises ProtocolError for a run that is not stored, and as `compare` does.
    """
    some = protocol.model_copy(update={"methods": list(dict.fromkeys((BASELINE, *methods)))})
    with tempfile.TemporaryDirectory(prefix="dartboard-rerun-") as folder:
        fresh = Store(Path(folder) / "runs.jsonl")
        with running(some, fresh, dataset, processes=processes, say=say) as source:
            compare(some, *source)
        for run in fresh.runs():
            before = stored.get(run.key)
            if before is None:
                raise ProtocolError(f"{stored.path} lacks the run of {run.spec}: run the protocol first")
            yield run, (run.genotype, run.metrics) == (before.genotype, before.metrics)


def title(run: Run) -> str:
    """What a run is, in words."""
    spec = {name: run.spec.get(name, SearchConfig.model_fields[name].default) for name in ("method", "seed")}
    return f"{'retraining' if 'genotype' in run.spec else spec['method']}, seed {spec['seed']}"
