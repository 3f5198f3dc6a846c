"""`dartboard retention`: which checkpoints ended jobs keep; `pin` and `unpin`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from client.options import DEFAULT_URL, Json, Key, Url, Wide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.schemas.retention import RetentionOut

app = typer.Typer(
    help="Rules of retention: list (the default), set, remove, preview, sweep.", invoke_without_command=True
)
Owner = Annotated[str | None, typer.Option(help="Whose jobs; by default yours, for admins all owners'.")]
Kind = Annotated[str | None, typer.Option(help="search or evaluation; both by default.")]
Own = Annotated[bool, typer.Option("--own", help="For admins: the rule that the owner has set.")]
Every = Annotated[int | None, typer.Option(min=1, metavar="N", help="Keep those of each n-th epoch, too.")]
Pinned = Annotated[
    str, typer.Argument(metavar="ID[@EPOCH]", help="Id of a job, or its first digits; with an epoch its checkpoint.")
]


@app.callback()
def _default(
    context: typer.Context, json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None
) -> None:
    if context.invoked_subcommand is None:
        list_rules(json=json, wide=wide, url=url, key=key)


@app.command("list")
def list_rules(json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """List all rules. A checkpoint is cleared unless both the admins' and the owner's rule keep it."""
    from client.output import print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        found = dartboard.retention()
    if json:
        print_json(list(found))
    else:
        _print(found, wide=wide)


@app.command("set")
def set_rule(
    days: Annotated[int, typer.Option(min=0, help="Days from a job's end until it is cleared.")],
    last: Annotated[int, typer.Option(min=0, metavar="N", help="Keep so many of the newest checkpoints.")] = 1,
    best: Annotated[bool, typer.Option(help="Keep that of the best epoch.")] = True,
    every: Every = None,
    owner: Owner = None,
    kind: Kind = None,
    own: Own = False,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Set a rule, or replace it. Look at `preview` with the same options first."""
    from client.output import print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        rule = dartboard.set_retention(days=days, last=last, best=best, every=every, owner=owner, kind=kind, own=own)
    if json:
        print_json(rule)
    else:
        _print([rule])


@app.command("remove")
def remove_rule(
    owner: Owner = None,
    kind: Kind = None,
    own: Own = False,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Remove a rule."""
    from client.output import console, print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        dartboard.remove_retention(owner=owner, kind=kind, own=own)
    if json:
        print_json({"owner": owner, "kind": kind, "own": own})
    else:
        console.print(f"removed the rule of {owner or 'all owners'} for {kind or 'all kinds'}")


@app.command("preview")
def preview(
    days: Annotated[int | None, typer.Option(min=0, help="Try a rule: days from a job's end.")] = None,
    last: Annotated[int | None, typer.Option(min=0, metavar="N", help="Try a rule: so many of the newest.")] = None,
    best: Annotated[bool | None, typer.Option(help="Try a rule: that of the best epoch.")] = None,
    every: Every = None,
    owner: Owner = None,
    kind: Kind = None,
    own: Own = False,
    json: Json = False,
    wide: Wide = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Print what would be cleared now, by the rules or, with --days, by one that is not set. Nothing is cleared."""
    from client.output import console, print_json, print_listing
    from client.sdk import Dartboard
    from client.sizes import size
    from client.tables import Column, Listing

    tried: dict[str, Any] = {"days": days, "last": last, "best": best, "every": every}
    with Dartboard(url, key) as dartboard:
        found = dartboard.preview_retention(owner=owner, kind=kind, own=own, **tried)
    if json:
        print_json(found)
        return
    if found.jobs:
        listing = Listing("job", "kind", Column("name", 2), Column("owner", 1), Column("bytes", number=True), "epochs")
        for job in found.jobs:
            epochs = ", ".join(map(str, job.epochs))
            listing.add(str(job.id), job.kind, job.name or "", job.owner or "–", size(job.bytes), epochs)
        print_listing(listing, wide=wide)
    for each in found.owners if len(found.owners) > 1 else ():
        console.print(f"{each.owner or '–'}: {size(each.bytes)} of {each.jobs:,} jobs")
    console.print(f"{found.checkpoints:,} checkpoints, {size(found.bytes)}")


@app.command("sweep")
def sweep(json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Clear now what the rules do not keep, instead of within the hour."""
    from client.output import console, print_json
    from client.sdk import Dartboard
    from client.sizes import size

    with Dartboard(url, key) as dartboard:
        cleared = dartboard.sweep_retention()
    if json:
        print_json(cleared)
        return
    console.print(f"cleared {cleared.checkpoints:,} checkpoints, {size(cleared.bytes)}")
    if cleared.orphans:
        console.print(f"deleted {cleared.orphans:,} files without a row, {size(cleared.orphan_bytes)}")


def pin(which: Pinned, json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Keep a job's checkpoints from every rule of retention, or one checkpoint until its job is deleted."""
    _pin(which, pinned=True, json=json, url=url, key=key)


def unpin(which: Pinned, json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Undo `pin`."""
    _pin(which, pinned=False, json=json, url=url, key=key)


def _pin(which: str, *, pinned: bool, json: bool, url: str, key: str | None) -> None:
    from client.output import console, print_json
    from client.sdk import Dartboard

    job_id, at, epoch = which.partition("@")
    if at and not epoch.isdecimal():
        raise typer.BadParameter(f"{epoch!r} is not an epoch: give ID@NUMBER, or ID", param_hint="ID[@EPOCH]")
    with Dartboard(url, key) as dartboard:
        found = dartboard.pin(job_id, int(epoch) if at else None, pinned=pinned)
    print_json(found) if json else console.print(f"{'pinned' if pinned else 'unpinned'} {which}")


def _print(rules: Sequence[RetentionOut], *, wide: bool = False) -> None:
    from client.output import print_listing
    from client.tables import Column, Listing

    numbers = (Column(title, number=True) for title in ("last", "every", "days"))
    listing = Listing("owner", "kind", "set by", "best", *numbers)
    for rule in rules:
        by, best = "owner" if rule.own else "admin", "yes" if rule.best else "no"
        every = "–" if rule.every is None else str(rule.every)
        listing.add(rule.owner or "all", rule.kind or "all", by, best, str(rule.last), every, str(rule.days))
    print_listing(listing, wide=wide)
