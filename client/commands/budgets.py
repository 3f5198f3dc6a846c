"""`dartboard budgets`: what owners may use of the fleet in a month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from client.options import DEFAULT_URL, Json, Key, Url, Wide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.schemas.budgets import BudgetOut

app = typer.Typer(help="Budgets of owners: list (the default), set, remove.", invoke_without_command=True)
Owner = Annotated[str, typer.Argument(metavar="OWNER", help="The owner of jobs, as keys name it.")]


@app.callback()
def _default(
    context: typer.Context, json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None
) -> None:
    if context.invoked_subcommand is None:
        list_budgets(json=json, wide=wide, url=url, key=key)


@app.command("list")
def list_budgets(json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """List all budgets with what is used of them this month."""
    from client.output import print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        found = dartboard.budgets()
    if json:
        print_json(found)
    else:
        _print(found, wide=wide)


@app.command("set")
def set_budget(
    owner: Owner,
    gpu_hours: Annotated[float, typer.Argument(metavar="HOURS", min=0, help="GPU-hours of a calendar month, in UTC.")],
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Give an owner a budget, or another one, as an admin."""
    from client.output import print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        budget = dartboard.set_budget(owner, gpu_hours)
    if json:
        print_json(budget)
    else:
        _print([budget])


@app.command("remove")
def remove_budget(owner: Owner, json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Remove an owner's budget, as an admin: the owner's jobs run without a limit."""
    from client.output import console, print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        dartboard.remove_budget(owner)
    if json:
        print_json({"owner": owner})
    else:
        console.print(f"removed the budget of {owner}")


def _print(budgets: Sequence[BudgetOut], *, wide: bool = False) -> None:
    from client.output import print_listing
    from client.tables import Column, Listing

    listing = Listing("owner", Column("GPU-hours", number=True), Column("used", number=True), "month", "state")
    for each in budgets:
        listing.add(
            each.owner, f"{each.gpu_hours:,g}", f"{each.used_gpu_hours:,.2f}", f"{each.month:%Y-%m}", each.state
        )
    print_listing(listing, wide=wide)
