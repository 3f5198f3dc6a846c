"""`dartboard download`: a job's file, in the desired format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from client.options import DEFAULT_URL, Json, Key, Url


def download(
    job_id: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Id of a job with a checkpoint, of a score (for its logits) or of a checkpoint, or its first digits.",
        ),
    ],
    to: Annotated[Path, typer.Option("-o", "--output", help="Folder or file to write.")] = Path(),
    epoch: Annotated[
        str | None, typer.Option(help="best, last or a number; by default an evaluation's best, a search's last.")
    ] = None,
    format_: Annotated[
        Literal["torch", "safetensors", "pytorch"],
        typer.Option("--format", help="safetensors: only the weights. pytorch: a module that reads those beside it."),
    ] = "torch",
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Download a checkpoint, an ensemble, or a score's logits; resumes a partial download."""
    from api.schemas.jobs import JobKind, JobOut
    from client.distribution import COMMAND
    from client.output import print_json, print_text, remarks
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        found = dartboard.job_or_checkpoint(job_id)
        path = dartboard.download(job_id, to, epoch, format_)
    print_json({"file": str(path)}) if json else print_text(str(path))
    if isinstance(found, JobOut) and found.kind == JobKind.SEARCH:
        remarks.print(f"this is the search's own network; retrain its cell: {COMMAND} evaluate {found.id}", style="dim")
