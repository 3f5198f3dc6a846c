"""`dartboard bench ledger`: the worth of the cells that methods find, with intervals over the seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.commands.options import Calibrate, Markdown, Processes, ProtocolFile, ProtocolImages, Results
from client.options import Json

if TYPE_CHECKING:
    from benchmarks.ledger.protocol import Protocol
    from benchmarks.ledger.report import Row


def ledger(
    protocol: ProtocolFile,
    dataset: ProtocolImages,
    results: Results = None,
    processes: Processes = 1,
    calibrate: Calibrate = False,
    markdown: Markdown = False,
    json: Json = False,
) -> None:
    """Compare search methods at equal cost over several seeds. Runs that are stored are not done again."""
    from dataclasses import asdict

    from benchmarks.ledger import report
    from benchmarks.ledger.compare import compare
    from benchmarks.ledger.protocol import load_protocol
    from benchmarks.ledger.store import RUNS, Store
    from benchmarks.oracle.data import opened
    from client.output import print_json, print_text, remarks

    chosen = load_protocol(protocol)
    with opened(dataset) as (name, root):
        if calibrate:
            _calibrate(chosen, protocol, name, root)
            return
        store = Store(results or RUNS)
        found = compare(chosen, store, dataset=name, data_root=root, processes=processes, say=remarks.print)
    if json:
        print_json([{**asdict(row), "verdict": row.verdict} for row in found])
    elif markdown:
        print_text(report.markdown(found, chosen).rstrip("\n"))
    else:
        _show(found)


def _calibrate(protocol: Protocol, file: Path, dataset: str, root: Path) -> None:
    from benchmarks.ledger.provenance import processor
    from benchmarks.oracle.searches import calibrate
    from client.output import print_text, remarks

    seconds = calibrate(protocol, protocol.methods, dataset=dataset, data_root=root, say=remarks.print)
    protocol.calibrated(seconds, processor()).save(file)
    print_text(str(file))


def _show(rows: list[Row]) -> None:
    from benchmarks.ledger import report
    from client.output import print_listing
    from client.tables import Column, Listing

    first, *figures = report.HEADINGS
    listing = Listing(first, *(Column(name, number=name not in figures[-2:]) for name in figures))
    for row in rows:
        listing.add(*report.columns(row))
    print_listing(listing)
