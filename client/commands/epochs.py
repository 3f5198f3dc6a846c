"""`dartboard epochs`: a job's finished epochs as a table, CSV or JSON."""

from __future__ import annotations

from typing import Annotated

import typer

from client.options import DEFAULT_URL, Json, Key, Url, Wide


def epochs(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a job, or its first digits.")],
    after: Annotated[int, typer.Option(min=0, help="Print later epochs only.")] = 0,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV, with a column for every metric.")] = False,
    json: Json = False,
    wide: Wide = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Print the metrics of each finished epoch of a job."""
    from api.schemas.epoch_csv import epochs_csv
    from client.output import print_json, print_listing, print_text
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    if csv and json:
        raise typer.BadParameter("--csv and --json exclude each other")
    with Dartboard(url, key) as dartboard:
        found = dartboard.epochs(job_id, after)
    if json:
        print_json(found)
    elif csv:
        print_text(epochs_csv(found).rstrip("\n"))
    else:
        metrics = sorted({name for epoch in found for name in epoch.metrics})
        listing = Listing(*(Column(name, 0, number=True) for name in ("epoch", *metrics)))
        for epoch in found:
            values = (epoch.metrics.get(name) for name in metrics)
            listing.add(str(epoch.epoch), *("" if value is None else f"{value:.4g}" for value in values))
        print_listing(listing, wide=wide)
