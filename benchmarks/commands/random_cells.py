"""`dartboard bench random-cells`: a searched cell against random ones of its size."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.commands.options import LedgerImages, Markdown, Processes, ProtocolFile, Results
from client.options import Json


def random_cells(
    protocol: ProtocolFile,
    method: Annotated[str, typer.Option(help="Whose cell: that of its search with seed 0.")] = "darts",
    dataset: LedgerImages = None,
    seeds: Annotated[int, typer.Option(min=2, help="Retrainings of the found cell, and random cells.")] = 10,
    results: Results = None,
    processes: Processes = 1,
    markdown: Markdown = False,
    json: Json = False,
) -> None:
    """Compare a searched cell with random cells that have as many parameters. Stored runs are not done again."""
    from dataclasses import asdict

    from benchmarks.commands.sources import source_of
    from benchmarks.ledger.protocol import load_protocol
    from benchmarks.random_cells import compare, listing
    from client.output import print_json, print_listing, print_text

    chosen = load_protocol(protocol)
    with source_of(chosen, dataset, results, processes) as (name, runs_of):
        found = compare(chosen, method, seeds, name, runs_of)
    if json:
        print_json(asdict(found))
    elif markdown:
        print_text("\n".join(listing(found).markdown()))
    else:
        print_listing(listing(found))
