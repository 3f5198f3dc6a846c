"""`dartboard bench fairness`: how evenly the queue divides a fleet among owners."""

from __future__ import annotations

from typing import Annotated

import typer

from client.options import Json

_GOAL_PERCENT = 5.0


def fairness(
    owners: Annotated[int, typer.Option(min=1, help="The k-th of them has k parts of the jobs.")] = 10,
    jobs: Annotated[int, typer.Option(min=1, help="Jobs, from 6 s to 2 hours long.")] = 1000,
    slots: Annotated[int, typer.Option(min=1, help="Workers, of one GPU each.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Of the lengths of jobs.")] = 0,
    json: Json = False,
) -> None:
    """Compare what owners get with a max-min fair division. Exit code 1 if more than 5 % is with the wrong owners.

    Starts its own service; the run times are simulated. The defaults take about two minutes.
    """
    from benchmarks.fleet import measure_fairness
    from client.output import print_json, print_listing, remarks
    from client.tables import Listing

    rows = measure_fairness(owners=owners, jobs=jobs, slots=slots, seed=seed, say=remarks.print)
    if json:
        print_json({"owners": owners, "slots": slots, "seed": seed, "rows": rows})
    else:
        listing = Listing("queue", "jobs", "simulated hours", "mean error, %", "after each quarter, %")
        for row in rows:
            *cells, quarters = row.values()
            listing.add(*map(str, cells), " / ".join(map(str, quarters)))
        print_listing(listing)
    if max(rows[0]["mean_percent"], *rows[0]["quarters_percent"]) > _GOAL_PERCENT:
        raise typer.Exit(1)
