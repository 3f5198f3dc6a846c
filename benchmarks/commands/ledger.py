"""`dartboard bench ledger`: the worth of the cells that methods find, with intervals over the seeds."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.commands.options import Calibrate, Markdown, Processes, ProtocolFile, Results
from client.options import Json

if TYPE_CHECKING:
    from benchmarks.ledger.protocol import Protocol
    from benchmarks.ledger.report import Row


def ledger(
    protocol: ProtocolFile,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER|FILE.tar",
            help="Images to search on, those of the protocol; by default no search runs.",
        ),
    ] = None,
    results: Results = None,
    processes: Processes = 1,
    calibrate: Calibrate = False,
    markdown: Markdown = False,
    json: Json = False,
) -> None:
    """Compare search methods at equal cost over several seeds. Runs that are stored are not done again."""
    from dataclasses import asdict

    from benchmarks.ledger import report
    from benchmarks.ledger.compare import compare, compare_stored
    from benchmarks.ledger.protocol import load_protocol
    from benchmarks.ledger.runs import run_missing
    from benchmarks.ledger.store import RUNS, Store
    from benchmarks.oracle.data import checksum, opened
    from client.output import print_json, print_text, remarks

    chosen, store = load_protocol(protocol), Store(results or RUNS)
    if dataset is None:
        if calibrate:
            raise typer.BadParameter("give the images with --dataset", param_hint="--calibrate")
        found = compare_stored(chosen, store)
    else:
        with opened(dataset) as (name, root):
            if calibrate:
                _calibrate(chosen, protocol, name, root)
                return
            run = partial(
                run_missing,
                store=store,
                images=checksum(name, root),
                data_root=root,
                device=chosen.device,
                processes=processes,
                say=remarks.print,
            )
            found = compare(chosen, name, run)
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
