"""`dartboard bench watchers`: event streams of one job."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.commands.options import Data
from benchmarks.commands.output import print_fields
from client.options import Json


def watchers(
    streams: Annotated[int, typer.Option(min=1, help="Event streams of one job, all open at the same time.")] = 1000,
    events: Annotated[int, typer.Option(min=1, help="Number of reported epochs.")] = 20,
    pause: Annotated[float, typer.Option(min=0, help="Seconds before each.")] = 1.0,
    data: Data = None,
    json: Json = False,
) -> None:
    """Measure the delay of a new event to all streams of one API process. Starts its own service."""
    from benchmarks.watchers import measure
    from client.output import remarks

    result = measure(streams=streams, events=events, pause=pause, data=data, say=remarks.print)
    print_fields(result, json=json)
