"""`dartboard compare`: compares jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from client.options import DEFAULT_URL, Json, Key, Url

if TYPE_CHECKING:
    from api.schemas.compare import TableName
    from client.sdk import Dartboard


def compare(
    job_ids: Annotated[list[str], typer.Argument(metavar="ID ID...", help="Ids of two to twenty jobs.")],
    form: Annotated[
        Literal["table", "csv", "markdown", "json"], typer.Option("--format", help="Output format.")
    ] = "table",
    table: Annotated[
        Literal["figures", "cells", "epochs", "spec"] | None,
        typer.Option(help="Print one table; by default CSV has `figures`, and Markdown all."),
    ] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Compare jobs: metrics, cells edge by edge, epochs, and differing spec fields."""
    from client.output import print_json, print_text
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        if json or form == "json":
            print_json(dartboard.compare(job_ids))
        elif form == "table":
            wanted: list[TableName] = [table] if table else ["figures", "cells", "epochs", "spec"]
            for name in wanted:
                _show(dartboard, job_ids, name)
        else:
            print_text(dartboard.comparison_text(job_ids, form, table or "figures"))


def _show(dartboard: Dartboard, job_ids: list[str], name: TableName) -> None:
    import csv
    import io

    from client.output import console, print_listing
    from client.tables import Listing

    head, *rows = csv.reader(io.StringIO(dartboard.comparison_text(job_ids, "csv", name)))
    if not rows:
        return
    listing = Listing(*head)
    for row in rows:
        listing.add(*(_short(value) for value in row))
    console.print(name, style="bold")
    print_listing(listing)


def _short(value: str) -> str:
    """Six digits; the other formats have all."""
    try:
        return value if value.lstrip("-").isdecimal() else f"{float(value):.6g}"
    except ValueError:
        return value
