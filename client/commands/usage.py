"""`dartboard usage`: what jobs have taken of the workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from client.options import DEFAULT_URL, Json, Key, Url, Wide

if TYPE_CHECKING:
    from api.schemas.usage import UsageKey, UsageSums


def usage(
    by: Annotated[
        list[str] | None,
        typer.Option(help="owner (the default), project, kind, device or day; may be repeated."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Such as 2026-11-01, in UTC; by default 30 days before the end.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="The end; by default now.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    json: Json = False,
    wide: Wide = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Print the hours that jobs took of the workers, deleted jobs included."""
    from api.schemas.usage import usage_csv
    from client.output import print_json, print_listing, print_text
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        found = dartboard.usage(*cast("list[UsageKey]", by or []), since=since, until=until)
    if json:
        print_json(found)
        return
    if csv:
        print_text(usage_csv(found))
        return
    numbers = ("jobs", "attempts", "hours", "on GPUs", "lost", "kWh")
    listing = Listing(*found.by, *(Column(title, number=True) for title in numbers))
    for row in found.rows:
        listing.add(
            *(str(value) if (value := getattr(row, name)) is not None else "–" for name in found.by), *_sums(row)
        )
    if len(found.rows) > 1:
        listing.add("in all", *[""] * (len(found.by) - 1), *_sums(found.total))
    print_listing(listing, wide=wide)


def _sums(sums: UsageSums) -> tuple[str, ...]:
    hours = (sums.compute_seconds, sums.gpu_seconds, sums.lost_seconds)
    kwh = "–" if sums.kwh is None else f"{sums.kwh:,.2f}"
    return f"{sums.jobs:,}", f"{sums.attempts:,}", *(f"{seconds / 3600:,.2f}" for seconds in hours), kwh
