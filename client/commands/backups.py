"""`dartboard backup`, `restore` and `check-store`: backups of a local service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.commands.local import Data


def backup(
    output: Annotated[Path, typer.Option("--output", "-o", help="Backup file to write.")],
    data: Data = Path(".dartboard"),
) -> None:
    """Copy database and files into one file, whether the service runs or not."""
    from client.local import backups

    backups.backup(data, output)


def restore(
    file: Annotated[Path, typer.Argument(help="File written by `dartboard backup`.")],
    data: Data = Path(".dartboard"),
) -> None:
    """Restore a backup into a new folder and verify every file's checksum."""
    from client.local import backups

    backups.restore(data, file)


def check_store(
    data: Data = Path(".dartboard"),
    repair: Annotated[
        bool, typer.Option("--repair", help="Replace damaged files by intact copies with the same checksum.")
    ] = False,
    remove_unnamed: Annotated[
        bool, typer.Option("--remove-unnamed", help="Remove unreferenced files older than a day.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Verify the checksum of every stored file, whether the service runs or not.

    Exit code 1 when a file is damaged or missing.
    """
    from client.local.offline import database_of, run_module

    flags = {"--repair": repair, "--remove-unnamed": remove_unnamed, "--json": json}
    with database_of(data) as url:
        code = run_module("api.check_store", [flag for flag, given in flags.items() if given], url, data)
    raise typer.Exit(code)
