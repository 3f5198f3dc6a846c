"""`dartboard random-cell`: draws a random genotype, the baseline of any search. Needs no service."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from client.options import Json


def random_cell(
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same cell.")] = 0,
    family: Annotated[Literal["cnn", "rnn"], typer.Option(help="Family of the cell.")] = "cnn",
    nodes: Annotated[
        int | None, typer.Option(min=1, max=12, help="Intermediate nodes; by default 4, for a recurrent cell 8.")
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="Named set of operations to draw from; darts or rnn by default.")
    ] = None,
    format_: Annotated[
        Literal["python", "json", "mmrazor", "dot"], typer.Option("--format", help="Output format; python by default.")
    ] = "python",
    json: Json = False,
) -> None:
    """Print a random cell: every choice of edges and operations is equally likely."""
    from client.output import print_json, print_text
    from darts_core.errors import GenotypeError
    from darts_core.genotypes import FORMATS, drawn_cell, to_json

    try:
        cell = drawn_cell(family, seed, nodes=nodes, space=space)
        text = FORMATS[format_](cell)
    except GenotypeError as error:
        raise typer.BadParameter(str(error)) from error
    print_json(to_json(cell)) if json else print_text(text.rstrip("\n"))
