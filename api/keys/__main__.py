"""`python -m api.keys create`: make a key beside the running service, with its DATABASE_URL.

The first admin's key is made so; further ones by `dartboard keys`, which asks the service.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from pydantic import ValidationError
from sqlalchemy.exc import OperationalError, ProgrammingError

from api.database import Database
from api.keys.service import KeyService
from api.schemas.keys import KeyCreate, Role
from api.settings import get_settings


def main() -> int:
    """Print the new key, alone on its line."""
    parser = argparse.ArgumentParser(prog="python -m api.keys", description="Keys of the Dartboard API.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print it: it is stored nowhere")
    create.add_argument("--role", choices=[role.value for role in Role], default=Role.ADMIN.value)
    create.add_argument("--owner", default="admin", help="whose the things are that are made with it")
    arguments = parser.parse_args()
    try:
        body = KeyCreate(role=Role(arguments.role), owner=arguments.owner)
    except ValidationError as error:
        print(f"--owner {arguments.owner!r}: {error.errors()[0]['msg']}", file=sys.stderr)
        return 2
    try:
        print(asyncio.run(_create(body)))
    except (OperationalError, ProgrammingError) as error:
        where = get_settings().database_url.get_secret_value().rpartition("@")[2]
        way_out = "check DATABASE_URL, and run `python -m api.migrate` first"
        print(f"cannot store a key in {where}: {error.orig}; {way_out}", file=sys.stderr)
        return 1
    return 0


async def _create(body: KeyCreate) -> str:
    database = Database(get_settings().database_url.get_secret_value())
    try:
        return (await KeyService(database).create(body)).key
    finally:
        await database.close()


if __name__ == "__main__":
    sys.exit(main())
