"""`dartboard bench preemption`: the wait of urgent jobs on a full fleet."""

from __future__ import annotations

from typing import Annotated

import typer

from client.options import Json

_GOAL_SECONDS = 10.0


def preemption(
    workers: Annotated[int, typer.Option(min=1, help="Simulated workers, all of them busy.")] = 8,
    jobs: Annotated[int, typer.Option(min=1, help="Urgent jobs of each row.")] = 200,
    step_seconds: Annotated[
        float, typer.Option(min=0, help="Seconds in which a preempted job does its step and saves its state.")
    ] = 1.0,
    json: Json = False,
) -> None:
    """Measure the time from an urgent job's submission to its claim. Exit code 1 if the 99th percentile is over 10 s.

    Starts its own service. The defaults take about five minutes.
    """
    from benchmarks.fleet import measure_urgent
    from client.output import print_json, print_listing, remarks
    from client.tables import Listing

    rows = measure_urgent(workers=workers, jobs=jobs, step_seconds=step_seconds, say=remarks.print)
    if json:
        print_json({"workers": workers, "step_seconds": step_seconds, "rows": rows})
    else:
        listing = Listing("submitted at once", "jobs", "median, s", "p99, s", "max, s")
        for row in rows:
            listing.add(*(f"{value:g}" for value in row.values()))
        print_listing(listing)
    if any(row["p99_seconds"] > _GOAL_SECONDS for row in rows):
        raise typer.Exit(1)
