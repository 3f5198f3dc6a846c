"""`dartboard webhooks`: have a URL told what happens to your jobs."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from client.options import DEFAULT_URL, Json, Key, Url, Wide

app = typer.Typer(
    help="Webhooks: list (the default), add, ping, deliveries, retry, remove.", invoke_without_command=True
)
WebhookId = Annotated[str, typer.Argument(metavar="ID", help="Id of a webhook: `dartboard webhooks` lists them.")]


@app.callback()
def _default(
    context: typer.Context, json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None
) -> None:
    if context.invoked_subcommand is None:
        list_webhooks(json=json, wide=wide, url=url, key=key)


@app.command("list")
def list_webhooks(json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """List your webhooks, newest first."""
    from client.output import print_json, print_listing
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        hooks = dartboard.webhooks()
    if json:
        print_json(list(hooks))
        return
    listing = Listing(
        "id", "host", Column("name", 1), Column("owner", 3), Column("job", 3), "events", Column("state", 1)
    )
    for each in hooks:
        events = ", ".join(name.removeprefix("job.") for name in each.events)
        listing.add(
            str(each.id),
            each.host,
            each.name or "",
            each.owner or "",
            str(each.job or ""),
            events,
            f"disabled: {each.disabled}" if each.disabled else "",
        )
    print_listing(listing, wide=wide)


@app.command("add")
def add_webhook(
    to: Annotated[str, typer.Argument(metavar="URL", help="Where events are posted to.")],
    event: Annotated[
        list[str] | None, typer.Option(help="Such as job.failed; may be repeated; by default all events.")
    ] = None,
    job: Annotated[str | None, typer.Option(help="Of this job alone.")] = None,
    name: Annotated[str | None, typer.Option(help="A name for the list.")] = None,
    body: Annotated[Literal["standard", "slack"], typer.Option(help="slack: for Slack-compatible URLs.")] = "standard",
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Post events of your jobs to a URL. Prints the secret of the signatures once."""
    from client.output import print_json, print_text, remarks
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        created = dartboard.add_webhook(to, events=event, job=job, name=name, body=body)
    if json:
        print_json(created)
        return
    # Alone on standard output, for SECRET=$(dartboard webhooks add ...).
    print_text(created.secret)
    remarks.print(f"{created.id}: to {created.host}; the secret is shown this once", style="dim")


@app.command("ping")
def ping_webhook(webhook_id: WebhookId, json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Send a message that tells of nothing, to see that it arrives."""
    from client.output import console, print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        delivery = dartboard.ping_webhook(webhook_id)
    if json:
        print_json(delivery)
        return
    console.print(f"queued {delivery.id}: `dartboard webhooks deliveries` tells how it went")


@app.command("deliveries")
def list_deliveries(
    webhook_id: WebhookId, json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None
) -> None:
    """List what was sent to a webhook and what is waiting, newest first."""
    from client.output import print_json, print_listing
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        found = list(dartboard.deliveries(webhook_id))
    if json:
        print_json(found)
        return
    listing = Listing(
        "id", "event", Column("job", 2), "state", Column("tries", number=True), "answer", Column("next", 1)
    )
    for each in found:
        answer = each.error or ("" if each.status is None else f"{each.status}")
        again = f"{each.next_at:%Y-%m-%d %H:%M:%S}" if each.next_at else ""
        listing.add(str(each.id), each.type, str(each.job or ""), each.state, f"{each.tries}", answer, again)
    print_listing(listing, wide=wide)


@app.command("retry")
def retry_delivery(
    webhook_id: WebhookId,
    delivery_id: Annotated[str, typer.Argument(metavar="DELIVERY", help="Id of one of its deliveries.")],
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Send a message again."""
    from client.output import console, print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        delivery = dartboard.retry_delivery(webhook_id, delivery_id)
    if json:
        print_json(delivery)
        return
    console.print(f"queued {delivery.id} again")


@app.command("remove")
def remove_webhook(webhook_id: WebhookId, json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Delete a webhook with its deliveries."""
    from client.output import console, print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        dartboard.remove_webhook(webhook_id)
    if json:
        print_json({"id": webhook_id})
        return
    console.print(f"removed {webhook_id}")
