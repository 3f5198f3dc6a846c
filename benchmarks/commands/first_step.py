"""`dartboard bench first-step`: the wait for the first step on a new machine."""

from __future__ import annotations

from typing import Annotated

import typer

from client.options import Json


def first_step(
    runs: Annotated[int, typer.Option(min=1, help="Runs with a compiler, and as many without.")] = 1,
    json: Json = False,
) -> None:
    """Measure the seconds from claim to first step of a search on digits, with nothing compiled before.

    Starts its own service on the CPU for each run. The goal is 20 s on two idle cores; exit code 1 above 30 s.
    """
    from benchmarks.first_step import MOST_SECONDS, measure
    from client.output import console, print_json, remarks

    found = measure(runs=runs, say=remarks.print)
    ways = [way for way in ("with_compiler", "without_compiler") if way in found]
    if json:
        print_json(found)
    else:
        for way in ways:
            seconds = ", ".join(f"{run['seconds']} s (load {run['load']})" for run in found[way])
            console.print(f"{way.replace('_', ' ')}: {seconds}")
    if any(run["seconds"] > MOST_SECONDS for way in ways for run in found[way]):
        raise typer.Exit(1)
