"""`dartboard bench ...`: measurements, each against a baseline in the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.options import Json

app = typer.Typer(help="Measure; every figure is a ratio against a baseline in the same run.", no_args_is_help=True)


@app.callback()
def _bench() -> None:
    """Keeps `bench` a group while it has one member."""


@app.command()
def overhead(
    pairs: Annotated[int, typer.Option(help="Alternating pairs of epochs.")] = 5,
    channels: Annotated[int, typer.Option()] = 8,
    layers: Annotated[int, typer.Option(help="Raise it until an epoch takes 20 s or more.")] = 6,
    data: Annotated[Path | None, typer.Option(help="The service's data; a temporary folder unless given.")] = None,
    json: Json = False,
) -> None:
    """Wall time of an epoch through the service against the same epoch of `dartboard run` alone."""
    from client.benchmarks.overhead import measure
    from client.output import console, print_json, remarks

    spec = {"dataset": "digits", "channels": channels, "layers": layers}
    result = measure(spec, pairs, data, remarks.print)
    if json:
        print_json(result)
        return
    for name, value in result.items():
        console.print(f"{name}: {value}")
