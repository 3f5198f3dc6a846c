"""`dartboard bench target`: cells found under a growing weight of their cost."""

from __future__ import annotations

from typing import Annotated

import typer

from client.options import Json


def target(
    method: Annotated[str, typer.Option(help="Search method.")] = "darts",
    weight: Annotated[
        list[float] | None, typer.Option(help="Weight of the multiply-adds; 0, 0.1, 0.3, 1 by default.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Searches at each weight.")] = 3,
    search: Annotated[str, typer.Option(help="The search's other fields as JSON.")] = '{"dataset":"digits"}',
    json: Json = False,
) -> None:
    """Search on a built-in set with several weights of `target.multiply_adds`; print the found cells' cost."""
    from benchmarks.target import searches
    from client.json_input import parse_object
    from client.output import console, print_json, remarks
    from darts_core.training.defaults import DATA_ROOT

    spec = {"method": method, **parse_object(search, "--search")}
    rows = searches(
        spec, weights=weight or [0, 0.1, 0.3, 1], seeds=range(seeds), data_root=DATA_ROOT, say=remarks.print
    )
    if json:
        print_json(rows)
        return
    for row in rows:
        adds = f"{row['multiply_adds']:,.0f} multiply-adds"
        console.print(f"weight {row['weight']:g}: {adds}, validation accuracy {row['validation_accuracy']:.2f} %")
