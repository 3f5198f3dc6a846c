"""`dartboard bench collapse`: how often searches collapse, with a guard and without."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from benchmarks.commands.options import Calibrate, LedgerImages, Markdown, Processes, ProtocolFile, Results
from client.options import Json

if TYPE_CHECKING:
    from benchmarks.collapse.protocol import CollapseProtocol


def collapse(
    protocol: ProtocolFile,
    dataset: LedgerImages = None,
    results: Results = None,
    processes: Processes = 1,
    calibrate: Calibrate = False,
    markdown: Markdown = False,
    json: Json = False,
) -> None:
    """Count the searches that collapse in several spaces, with a guard and without. Stored runs are not done again."""
    from dataclasses import asdict

    from benchmarks.collapse import report
    from benchmarks.collapse.count import count_collapses
    from benchmarks.collapse.protocol import CollapseProtocol
    from benchmarks.commands.sources import source_of
    from benchmarks.ledger.protocol import read
    from client.output import print_json, print_listing, print_text

    chosen = read(CollapseProtocol, protocol)
    if calibrate:
        if dataset is None:
            raise typer.BadParameter("is missing: give the images of the protocol", param_hint="--dataset")
        _calibrate(chosen, protocol, dataset)
        return
    with source_of(chosen, dataset, results, processes) as (name, runs_of):
        found = count_collapses(chosen, name, runs_of)
    if json:
        print_json([asdict(row) for row in found])
    elif markdown:
        print_text(report.markdown(found, chosen).rstrip("\n"))
    else:
        print_listing(report.listing(found))
        for sentence in report.remarks_on(found):
            print_text(sentence)


def _calibrate(protocol: CollapseProtocol, file: Path, dataset: str) -> None:
    from benchmarks.collapse.count import calibrate
    from benchmarks.ledger.provenance import processor
    from benchmarks.oracle.data import opened
    from client.output import print_text, remarks

    with opened(dataset) as (name, root):
        seconds = calibrate(protocol, dataset=name, data_root=root, say=remarks.print)
    protocol.calibrated(seconds, processor()).save(file)
    print_text(str(file))
