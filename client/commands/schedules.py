"""`dartboard schedules`: submit jobs again and again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from client.options import DEFAULT_URL, Json, Key, Set, Url, Wide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.schemas.schedules import ScheduleOut

app = typer.Typer(help="Schedules: list (the default), add, runs, pause, resume, remove.", invoke_without_command=True)
ScheduleId = Annotated[str, typer.Argument(metavar="ID", help="Id of a schedule: `dartboard schedules` lists them.")]


@app.callback()
def _default(
    context: typer.Context, json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None
) -> None:
    if context.invoked_subcommand is None:
        list_schedules(json=json, wide=wide, url=url, key=key)


@app.command("list")
def list_schedules(json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """List all schedules, newest first, with the next time of each."""
    from client.output import print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        found = dartboard.schedules()
    print_json(list(found)) if json else _print(found, wide=wide)


@app.command("add")
def add_schedule(
    cron: Annotated[
        str,
        typer.Argument(help="Minute, hour, day of month, month and day of week, such as '30 2 * * 1-5'."),
    ],
    kind: Annotated[str, typer.Argument(help="Kind of the jobs, such as search or study.")],
    spec: Annotated[
        Path | None, typer.Argument(help="JSON file with the request body of a job; --set overrides it.")
    ] = None,
    zone: Annotated[str, typer.Option(help="Time zone of the times, such as Europe/Berlin.")] = "UTC",
    name: Annotated[str | None, typer.Option(help="Name of the schedule and its jobs.")] = None,
    overlap: Annotated[
        Literal["skip", "queue"], typer.Option(help="What to do while an earlier job has not ended.")
    ] = "skip",
    until: Annotated[str | None, typer.Option(help="No job later, such as 2027-06-30T00:00+02:00.")] = None,
    runs: Annotated[int | None, typer.Option(help="The number of jobs after which it ends.")] = None,
    set_: Set = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Submit a job at each time of a cron expression."""
    from client.json_input import read_object
    from client.options import fields
    from client.output import print_json
    from client.sdk import Dartboard

    request = {**({} if spec is None else read_object(spec, "SPEC")), **fields(set_)}
    with Dartboard(url, key) as dartboard:
        schedule = dartboard.add_schedule(
            kind, request, cron=cron, time_zone=zone, name=name, overlap=overlap, until=until, runs=runs
        )
    print_json(schedule) if json else _print([schedule])


@app.command("runs")
def list_runs(
    schedule_id: ScheduleId, json: Json = False, wide: Wide = False, url: Url = DEFAULT_URL, key: Key = None
) -> None:
    """List the jobs that a schedule has submitted, and the times that it left out, newest first."""
    from client.output import print_json, print_listing
    from client.sdk import Dartboard
    from client.tables import Column, Listing

    with Dartboard(url, key) as dartboard:
        zone = dartboard.schedule(schedule_id).time_zone
        found = list(dartboard.schedule_runs(schedule_id))
    if json:
        print_json(found)
        return
    listing = Listing("time", "outcome", "job", "status", Column("reason", 1))
    for each in found:
        job, status = str(each.job or ""), each.status or ""
        listing.add(_time(each.planned_at, zone), each.outcome, job, status, each.reason or "")
    print_listing(listing, wide=wide)


@app.command("pause")
def pause_schedule(schedule_id: ScheduleId, json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Submit no more jobs until it is resumed; the times that pass are left out."""
    _set_paused(schedule_id, True, json=json, url=url, key=key)


@app.command("resume")
def resume_schedule(schedule_id: ScheduleId, json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Submit jobs again, from the next time on."""
    _set_paused(schedule_id, False, json=json, url=url, key=key)


@app.command("remove")
def remove_schedule(schedule_id: ScheduleId, json: Json = False, url: Url = DEFAULT_URL, key: Key = None) -> None:
    """Delete a schedule; its jobs stay."""
    from client.output import console, print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        dartboard.remove_schedule(schedule_id)
    print_json({"id": schedule_id}) if json else console.print(f"removed {schedule_id}")


def _set_paused(schedule_id: str, paused: bool, *, json: bool, url: str, key: str | None) -> None:
    from client.output import print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        schedule = dartboard.update_schedule(schedule_id, paused=paused)
    print_json(schedule) if json else _print([schedule])


def _print(schedules: Sequence[ScheduleOut], *, wide: bool = False) -> None:
    from client.output import print_listing
    from client.tables import Column, Listing

    listing = Listing(
        "id",
        Column("name", 1),
        Column("owner", 3),
        "cron",
        "kind",
        Column("jobs", 2, number=True),
        "state",
        "next",
        Column("error", 1),
    )
    for each in schedules:
        due = "" if each.next_at is None else _time(each.next_at, each.time_zone)
        about = (str(each.id), each.name or "", each.owner or "", each.cron, each.kind)
        listing.add(*about, f"{each.made:,}", each.state, due, each.error or "")
    print_listing(listing, wide=wide)


def _time(moment: datetime, zone: str) -> str:
    """In the schedule's time zone; in UTC where this machine does not know it."""
    from contextlib import suppress
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    with suppress(ZoneInfoNotFoundError):
        moment = moment.astimezone(ZoneInfo(zone))
    return f"{moment:%Y-%m-%d %H:%M %Z}"
