"""Migrates the database to this version's tables: `python -m api.migrate`."""

from __future__ import annotations

import sys

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import OperationalError

from api.db.revisions import MIGRATIONS
from api.program import run_program
from api.settings import get_settings


def alembic_config() -> Config:
    """Alembic's configuration, without an ini file; the URL comes from the settings."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def main() -> int:
    """Upgrade to the latest migration. Idempotent."""
    try:
        command.upgrade(alembic_config(), "head")
    except OperationalError as error:
        where = get_settings().database_url.get_secret_value().rpartition("@")[2]
        print(f"cannot reach the database at {where}: {error.orig}; check DATABASE_URL", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    run_program(main)
