"""Writes the rows on which the service's advice rests: those of all protocols whose runs are stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

from api.schemas.advice import IntervalOut, Ledger, LedgerRow
from benchmarks.ledger.compare import compare
from benchmarks.ledger.intervals import Interval
from benchmarks.ledger.protocol import PROTOCOLS, Protocol, ProtocolError, load_protocol
from benchmarks.ledger.report import Row
from benchmarks.ledger.sources import RunsOf, stored
from benchmarks.ledger.store import Store

LEDGER: Final = Path(__file__).parents[2] / "api" / "advice" / "ledger.json"


def ledger(store: Store, left_out: Callable[[str], None] = lambda reason: None) -> Ledger:
    """The rows of all complete protocols that compare methods over several seeds; the others serve other questions.

    left_out: called with the reason for each other file.
    """
    rows: list[LedgerRow] = []
    for path in sorted(PROTOCOLS.glob("*.json")):
        try:
            protocol = load_protocol(path)
            if protocol.seeds == 1:
                raise ProtocolError("one seed tells no difference")
            dataset, runs_of = stored(protocol, store)
            found = compare(protocol, dataset, runs_of)
        except ProtocolError as error:
            left_out(f"{path.stem}: {str(error).splitlines()[0]}")
            continue
        rows += [_row(path.stem, protocol, dataset, runs_of, row) for row in found]
    return Ledger(rows=rows)


def as_json(found: Ledger) -> str:
    """The file's text, with a line for each row."""
    rows = ",\n".join(row.model_dump_json() for row in found.rows)
    return f'{{"rows":[\n{rows}\n]}}\n'


def _row(name: str, protocol: Protocol, dataset: str, runs_of: RunsOf, row: Row) -> LedgerRow:
    searches = [protocol.search(row.method, seed, dataset) for seed in range(protocol.seeds)]
    latest = max(runs_of(searches), key=lambda run: run.date)
    return LedgerRow(
        protocol=name,
        dataset=protocol.dataset,
        training_images=protocol.training_images,
        device=protocol.device,
        space=protocol.space,
        method=row.method,
        order=searches[0].order,
        channels=searches[0].channels,
        layers=searches[0].layers,
        epochs=row.epochs,
        seeds=protocol.seeds,
        budget_seconds=protocol.budget_seconds,
        seconds=round(row.seconds, 1),
        accuracy_of=_accuracy_of(protocol),
        accuracy=round(row.accuracy, 2),
        deviation=None if row.deviation is None else round(row.deviation, 2),
        against_random=_rounded(row.against_random),
        against_size=_rounded(row.against_size),
        verdict=row.verdict,
        commit=latest.commit,
        date=latest.date,
    )


def _accuracy_of(protocol: Protocol) -> str:
    if protocol.retraining is None:
        return f"NAS-Bench-201's table for {protocol.table}, after 200 epochs"
    return f"a retraining of {protocol.retraining['epochs']} epochs"


def _rounded(interval: Interval | None) -> IntervalOut | None:
    if interval is None:
        return None
    return IntervalOut(**{name: round(value, 2) for name, value in asdict(interval).items()})
