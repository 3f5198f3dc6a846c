"""`dartboard watch ID`."""

from __future__ import annotations

from typing import Annotated

import typer

from client.options import DEFAULT_URL, Json, Key, Url


def watch_job(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Watch a job to its end, from its beginning."""
    from client.output import remarks
    from client.sdk import Dartboard
    from client.watching import finish, watch

    with Dartboard(url, key) as dartboard:
        job = watch(dartboard, dartboard.job(job_id), json=json)
        raise typer.Exit(finish(job, remarks.print))
