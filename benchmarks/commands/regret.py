"""`dartboard bench regret`: the regret of found cells against the budget of a search."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.commands.options import LedgerImages, Markdown, Processes, ProtocolFile, Results
from client.options import Json


def regret(
    protocol: ProtocolFile,
    method: Annotated[list[str], typer.Option(help="A method of the protocol; may be repeated.")],
    budget: Annotated[
        list[float], typer.Option(min=0.1, help="Processor seconds of a search, as calibrated; may be repeated.")
    ],
    dataset: LedgerImages = None,
    results: Results = None,
    processes: Processes = 1,
    markdown: Markdown = False,
    json: Json = False,
) -> None:
    """Search in NAS-Bench-201's space with several budgets; look the found cells up in its table.

    Stored runs are not done again.
    """
    from dataclasses import asdict

    from benchmarks.commands.sources import source_of
    from benchmarks.ledger.protocol import load_protocol
    from benchmarks.ledger.regret import curve, listing
    from benchmarks.oracle.table import load_table
    from client.output import print_json, print_listing, print_text

    chosen = load_protocol(protocol)
    methods, table = [chosen.method(name) for name in method], load_table(chosen.table)
    with source_of(chosen, dataset, results, processes) as (name, runs_of):
        points = curve(chosen, methods, budget, table, name, runs_of)
    if json:
        print_json([asdict(point) for point in points])
    elif markdown:
        print_text("\n".join(listing(points, table).markdown()))
    else:
        print_listing(listing(points, table))
