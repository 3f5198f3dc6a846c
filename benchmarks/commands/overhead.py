"""`dartboard bench overhead`: an epoch through the service against `dartboard run`."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.commands.options import Data
from benchmarks.commands.output import print_fields
from client.options import Json


def overhead(
    pairs: Annotated[int, typer.Option(min=1, help="Alternating pairs of runs.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="Counted epochs of each run.")] = 2,
    channels: Annotated[int, typer.Option(min=1, help="Channels of the first cells.")] = 8,
    layers: Annotated[int, typer.Option(min=1, help="Cells; raise it until an epoch takes 20 s or more.")] = 6,
    side_by_side: Annotated[
        bool | None,
        typer.Option(
            "--side-by-side/--in-turn",
            help="Both runs at once on one core each (default without a GPU and with several cores), or in turn.",
            show_default=False,
        ),
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Compare the wall time of an epoch through the service with the same epoch of `dartboard run`."""
    from benchmarks.overhead import can_run_side_by_side, measure
    from client.output import remarks

    if side_by_side is None:
        side_by_side = can_run_side_by_side()
    elif side_by_side and not can_run_side_by_side():
        raise typer.BadParameter("side by side needs Linux, two cores and no GPU to share: use --in-turn")
    result = measure(
        {"dataset": "digits", "channels": channels, "layers": layers},
        pairs=pairs,
        epochs=epochs,
        arrangement="side-by-side" if side_by_side else "in-turn",
        data=data,
        say=remarks.print,
    )
    print_fields(result, json=json)
