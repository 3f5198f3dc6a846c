"""What every command that queues a job does: submit it, watch it unless told not to, show what came out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from api.schemas.jobs import JobOut
    from client.sdk import Dartboard

Show = Callable[["Dartboard", "JobOut"], None]


def submit_and_watch(
    dartboard: Dartboard, kind: str, body: dict[str, Any], show: Show, *, detach: bool, json: bool
) -> None:
    """Leaves with the job's exit code. show: for people, what a job that succeeded has found."""
    from client.output import console, print_json, remarks
    from client.watching import finish, watch

    job = dartboard.submit(kind, body)
    if detach:
        print_json(job) if json else console.print(str(job.id))
        return
    remarks.print(f"{kind} {job.id}")
    job = watch(dartboard, job, json=json)
    if job.status == "succeeded" and not json:
        show(dartboard, job)
    raise typer.Exit(finish(job, remarks.print))
