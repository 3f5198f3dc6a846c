"""`dartboard bench ledger`: the worth of the cells that methods find, with intervals over the seeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.commands.options import Calibrate, LedgerImages, Markdown, Processes, ProtocolFile, Results
from client.options import Json

if TYPE_CHECKING:
    from benchmarks.ledger.protocol import Protocol


def ledger(
    protocol: ProtocolFile,
    dataset: LedgerImages = None,
    results: Results = None,
    processes: Processes = 1,
    calibrate: Calibrate = False,
    rerun: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METHOD", help="Do this method's stored runs again; exit code 1 unless all agree bit for bit."
        ),
    ] = None,
    markdown: Markdown = False,
    json: Json = False,
) -> None:
    """Compare search methods at equal cost over several seeds. Runs that are stored are not done again."""
    from dataclasses import asdict

    from benchmarks.commands.sources import source_of
    from benchmarks.ledger import report
    from benchmarks.ledger.compare import compare
    from benchmarks.ledger.protocol import load_protocol
    from client.output import print_json, print_listing, print_text

    chosen = load_protocol(protocol)
    if dataset is None and (calibrate or rerun):
        raise typer.BadParameter("is missing: give the images of the protocol", param_hint="--dataset")
    if dataset is not None and calibrate:
        _calibrate(chosen, protocol, dataset)
        return
    if dataset is not None and rerun:
        _rerun(chosen, rerun, results, dataset, processes)
        return
    with source_of(chosen, dataset, results, processes) as (name, runs_of):
        found = compare(chosen, name, runs_of)
    if json:
        print_json([{**asdict(row), "verdict": row.verdict} for row in found])
    elif markdown:
        print_text(report.markdown(found, chosen).rstrip("\n"))
    else:
        print_listing(report.listing(found))


def _rerun(protocol: Protocol, names: list[str], results: Path | None, dataset: str, processes: int) -> None:
    from benchmarks.ledger.rerun import rerun, title
    from benchmarks.ledger.store import RUNS, Store
    from client.output import print_text, remarks

    methods, stored = [protocol.method(name) for name in names], Store(results or RUNS)
    differ = 0
    for run, same in rerun(protocol, methods, stored, dataset, processes=processes, say=remarks.print):
        print_text(f"{'the same' if same else 'differs'}  {title(run)}")
        differ += not same
    raise typer.Exit(min(1, differ))


def _calibrate(protocol: Protocol, file: Path, dataset: str) -> None:
    from benchmarks.ledger.provenance import processor
    from benchmarks.oracle.data import opened
    from benchmarks.oracle.searches import calibrate
    from client.output import print_text, remarks

    with opened(dataset) as (name, root):
        seconds = calibrate(protocol, protocol.methods, dataset=name, data_root=root, say=remarks.print)
    protocol.calibrated(seconds, processor()).save(file)
    print_text(str(file))
