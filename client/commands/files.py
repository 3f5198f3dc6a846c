"""`dartboard download`: what a job made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.options import DEFAULT_URL, Json, Key, Url


def download(
    evaluation_id: Annotated[str, typer.Argument(metavar="ID", help="Of an evaluation.")],
    to: Annotated[Path, typer.Option("-o", "--output", help="A folder, or a file's name.")] = Path(),
    epoch: Annotated[str, typer.Option(help="best, last or a number.")] = "best",
    json: Json = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Download a trained checkpoint; a broken download is continued."""
    from client.output import print_json
    from client.sdk import Dartboard

    with Dartboard(url, key) as dartboard:
        path = dartboard.download_checkpoint(evaluation_id, to, epoch)
    print_json({"file": str(path)}) if json else typer.echo(path)
