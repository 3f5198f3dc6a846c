"""`python -m api.migrate`: bring the database to this version's tables."""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

from api.settings import get_settings

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def alembic_config() -> Config:
    """Alembic's configuration; there is no ini file, the URL comes from the settings."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


@lru_cache(maxsize=1)
def head_revision() -> str | None:
    """The migration that this version needs."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def main() -> int:
    """Upgrade to the head; harmless when already there."""
    try:
        command.upgrade(alembic_config(), "head")
    except OperationalError as error:
        where = get_settings().database_url.get_secret_value().rpartition("@")[2]
        print(f"cannot reach the database at {where}: {error.orig}; check DATABASE_URL", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
