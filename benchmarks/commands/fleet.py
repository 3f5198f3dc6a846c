"""`dartboard bench fleet`: the API under growing numbers of jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.options import Json


def fleet(
    jobs: Annotated[
        list[int] | None, typer.Option(min=1, help="Number of queued jobs, and of ended ones; may be repeated.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Simulated workers; their jobs sleep.")] = 200,
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds with each number of jobs.")] = 60.0,
    job_seconds: Annotated[float, typer.Option(min=0, help="Mean duration of a job, varied by a half.")] = 20.0,
    data: Annotated[Path | None, typer.Option(help="The services' data, kept; temporary folders by default.")] = None,
    json: Json = False,
) -> None:
    """Measure claims, lists and passes over growing numbers of jobs. Exit code 1 if a lease expired.

    Starts its own services. The defaults take about ten minutes.
    """
    from benchmarks.fleet import growth, measure
    from client.output import print_json, print_listing, remarks
    from client.tables import Listing

    counts = sorted(set(jobs or (100, 1000, 10_000, 100_000)))
    rows = measure(jobs=counts, workers=workers, seconds=seconds, job_seconds=job_seconds, data=data, say=remarks.print)
    grown = growth(rows)
    if json:
        print_json({"rows": rows, "growth": grown})
    else:
        listing = Listing("median / p99, ms", *(f"{count:,}" for count in counts), "growth")
        for name, factor in grown.items():
            cells = [f"{row['times'][name]['median_ms']} / {row['times'][name]['p99_ms']}" for row in rows]
            listing.add(name, *cells, f"{factor:.2f}")
        for name in (name for name in rows[0] if name not in ("jobs", "workers", "times")):
            listing.add(name, *(str(row[name]) for row in rows), "")
        print_listing(listing)
    if lost := sum(row["lost"] for row in rows):
        remarks.print(f"{lost} leases ran out, which none may: the API could not keep up with {workers} workers")
        raise typer.Exit(1)
