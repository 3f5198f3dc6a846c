"""Runs PostgreSQL's client programs without exposing the password in their arguments."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from sqlalchemy.engine import make_url

from api.backup.errors import BackupError


def run_tool(database_url: str, name: str, arguments: Sequence[str]) -> None:
    """Run pg_dump or pg_restore from DARTBOARD_PG_BIN or the PATH. Raises BackupError."""
    program = shutil.which(name, path=os.environ.get("DARTBOARD_PG_BIN")) or shutil.which(name)
    if program is None:
        raise BackupError(
            f"{name} is missing: install PostgreSQL's client programs, or set DARTBOARD_PG_BIN to their folder"
        )
    url = make_url(database_url)
    where = {"PGHOST": url.host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password}
    environment = os.environ | {key: str(value) for key, value in where.items() if value is not None}
    environment["PGDATABASE"] = url.database or ""
    ended = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise BackupError(f"{name} failed with exit code {ended.returncode}: {ended.stderr.strip()[-2000:]}")


def plain_url(database_url: str) -> str:
    """The URL in the form that psycopg accepts."""
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
