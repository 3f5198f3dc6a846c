"""`dartboard backup` and `dartboard restore`: all that a local service has stored, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.commands.local import Data


def backup(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; it holds everything.")],
    data: Data = Path(".dartboard"),
) -> None:
    """Copy database and files into one file, while the service runs or when it does not."""
    from client.local import backups

    backups.backup(data, output)


def restore(
    file: Annotated[Path, typer.Argument(help="What `dartboard backup` has written.")],
    data: Data = Path(".dartboard"),
) -> None:
    """Put a backup back into a new folder, every file compared with its checksum."""
    from client.local import backups

    backups.restore(data, file)
