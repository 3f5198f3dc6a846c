"""`dartboard bench ranking`: whether shared weights rank cells as training them alone does."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.commands.options import ProtocolFile, ProtocolImages
from client.options import Json


def ranking(
    protocol: ProtocolFile,
    dataset: ProtocolImages,
    cells: Annotated[int, typer.Option(min=10, help="Random cells to compare.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the supernet and the cells.")] = 0,
    json: Json = False,
) -> None:
    """Train a supernet on random paths in NAS-Bench-201's space; compare its ranking of cells with the true one."""
    from dataclasses import asdict

    from benchmarks.ledger.protocol import load_protocol
    from benchmarks.ledger.ranking import rank_cells
    from benchmarks.oracle.data import opened
    from benchmarks.oracle.table import load_table
    from client.output import console, print_json

    chosen = load_protocol(protocol)
    table = load_table(chosen.table)
    with opened(dataset) as (name, root):
        found = rank_cells(chosen, table, dataset=name, data_root=root, cells=cells, seed=seed)
    if json:
        print_json(asdict(found))
        return
    tau = found.tau
    console.print(
        f"Kendall's tau {tau.mean:.2f} (95 % bootstrap interval {tau.low:.2f} to {tau.high:.2f}), {cells} cells"
    )
