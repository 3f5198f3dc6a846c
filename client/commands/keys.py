"""`dartboard keys`: list, create and revoke API keys, as an admin."""

from __future__ import annotations

from typing import Annotated

import typer

from api.schemas.keys import Role
from client.options import DEFAULT_URL, Json, Key, Url, Wide

app = typer.Typer(help="API keys: list (the default), create, revoke.", invoke_without_command=True)


@app.callback()
def _default(
    context: typer.Context, json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None
) -> None:
    if context.invoked_subcommand is None:
        list_keys(json=json, wide=wide, url=url, key=key)


@app.command("list")
def list_keys(json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """List all keys, newest first."""
    from client.output import print_json, print_listing
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        keys = list(dartboard.keys())
    if json:
        print_json(keys)
        return
    listing = Listing("id", "role", "owner", Column("created", 3), Column("last used", 2), Column("revoked", 1))
    for each in keys:
        times = (f"{t:%Y-%m-%d %H:%M}" if t else "" for t in (each.created_at, each.last_used_at, each.revoked_at))
        listing.add(str(each.id), each.role, each.owner, *times)
    print_listing(listing, wide=wide)


@app.command("create")
def create_key(
    role: Annotated[Role, typer.Option(help="Role of the key.")],
    owner: Annotated[str, typer.Option(help="Owner of everything made with the key.")],
    queued_jobs: Annotated[int | None, typer.Option(min=0, help="Limit of queued jobs.")] = None,
    upload_bytes_per_day: Annotated[
        int | None, typer.Option(min=0, help="Daily limit for uploads of data sets and checkpoints.")
    ] = None,
    requests_per_second: Annotated[float | None, typer.Option(min=0.001, help="Average limit of requests.")] = None,
    dataset_bytes: Annotated[int | None, typer.Option(min=0, help="Limit for packed data sets in the store.")] = None,
    priority: Annotated[
        int | None, typer.Option(min=0, max=9, help="Highest priority of its jobs; below 9 none is urgent.")
    ] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Create an API key and print it once. Limits default to the service's."""
    from api.schemas.keys import KeyLimits
    from client.output import print_json, print_text, remarks
    from client.sdk import Dartboard

    limits = KeyLimits(
        queued_jobs=queued_jobs,
        upload_bytes_per_day=upload_bytes_per_day,
        requests_per_second=requests_per_second,
        dataset_bytes=dataset_bytes,
        priority=priority,
    )
    with Dartboard(url, key) as dartboard:
        created = dartboard.create_key(role, owner, limits)
    if json:
        print_json(created)
        return
    # Alone on standard output, for KEY=$(dartboard keys create ...).
    print_text(created.key)
    remarks.print(f"{created.id}: {created.role} of {created.owner}; the key is shown this once", style="dim")


@app.command("revoke")
def revoke_key(
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a key, or its first digits: `dartboard keys` lists them.")
    ],
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Revoke a key; its owner keeps everything made with it."""
    from client.output import console, print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        found = dartboard.full_id(key_id, "keys")
        dartboard.revoke_key(found)
    print_json({"revoked": str(found)}) if json else console.print(f"revoked {found}")
