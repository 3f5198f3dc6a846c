"""Databases of their own on the test service's server."""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg

from tests.support.service import Service

_MIGRATE = """
import sys
from alembic import command
from api.migrate import alembic_config

getattr(command, sys.argv[1])(alembic_config(), sys.argv[2])
"""


def plain(database_url: str) -> str:
    """The URL as psycopg takes it."""
    return database_url.replace("postgresql+psycopg", "postgresql")


def upgrade(database_url: str, revision: str) -> None:
    _migrate(database_url, "upgrade", revision)


def downgrade(database_url: str, revision: str) -> None:
    _migrate(database_url, "downgrade", revision)


def _migrate(database_url: str, direction: str, revision: str) -> None:
    environment = {**os.environ, "DATABASE_URL": database_url}
    subprocess.run([sys.executable, "-c", _MIGRATE, direction, revision], env=environment, check=True)


def database_at(service: Service, name: str, revision: str) -> str:
    """A database of its own with the tables of a version; its URL."""
    with psycopg.connect(plain(service.database_url), autocommit=True) as connection:
        connection.execute(f"create database {name}")
    url = f"{service.database_url.rpartition('/')[0]}/{name}"
    upgrade(url, revision)
    return url
