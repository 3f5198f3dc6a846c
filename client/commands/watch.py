"""`dartboard watch`: follows a job."""

from __future__ import annotations

from typing import Annotated

import typer

from client.options import DEFAULT_URL, Json, Key, Url


def watch_job(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a job, or its first digits.")],
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Watch a job from its start to its end.

    Prints events as lines of JSON when standard output is not a terminal, and with --json.
    """
    from client.output import is_interactive
    from client.sdk import Dartboard
    from client.submit import end, watch_to_end

    lines = json or not is_interactive()
    with Dartboard(url, key) as dartboard:
        job = watch_to_end(dartboard, dartboard.job(job_id), json=lines)
        raise typer.Exit(end(dartboard, job, show=not lines))
