"""`python -m api.keys create`: make a key beside the running service, with its DATABASE_URL.

The first admin's key is made so; further ones by `dartboard keys`, which asks the service. `adopt` takes a key that
lies in a file already, as containers have it from `python -m api.provision`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from pydantic import ValidationError
from sqlalchemy.exc import OperationalError, ProgrammingError

from api.auth.hashing import Secret, secret_of
from api.auth.service import KeyService
from api.db.engine import Database
from api.program import run_program
from api.schemas.keys import KeyCreate, Role
from api.settings import get_settings
from darts_core.validation import field_errors


def main() -> int:
    """Print the new key, alone on its line; of an adopted one nothing."""
    parser = argparse.ArgumentParser(prog="python -m api.keys", description="Keys of the Dartboard API.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print it: it is stored nowhere")
    adopt = commands.add_parser(
        "adopt", help="store a key that was made before, unless it is known; revoked, it stays so"
    )
    adopt.add_argument("file", type=Path, help="that holds the key, as `python -m api.provision` makes it")
    for command in (create, adopt):
        command.add_argument("--role", choices=[role.value for role in Role], default=Role.ADMIN.value)
        command.add_argument("--owner", default="admin", help="whose the things are that are made with it")
    arguments = parser.parse_args()
    secret = None
    if arguments.command == "adopt" and (secret := secret_of(arguments.file.read_text().strip())) is None:
        print(f"{arguments.file} holds no key: let `python -m api.provision` make it", file=sys.stderr)
        return 2
    try:
        body = KeyCreate(role=Role(arguments.role), owner=arguments.owner)
    except ValidationError as error:
        print(f"--owner: {field_errors(error.errors())[0].msg}", file=sys.stderr)
        return 2
    try:
        made = asyncio.run(_create(body, secret))
    except (OperationalError, ProgrammingError) as error:
        where = get_settings().database_url.get_secret_value().rpartition("@")[2]
        way_out = "check DATABASE_URL, and run `python -m api.migrate` first"
        print(f"cannot store a key in {where}: {error.orig}; {way_out}", file=sys.stderr)
        return 1
    if secret is None:
        print(made)
    return 0


async def _create(body: KeyCreate, secret: Secret | None) -> str:
    """The key's text. A secret that is known already is left as it is."""
    database = Database(get_settings().database_url.get_secret_value())
    try:
        keys = KeyService(database)
        if secret is not None and await keys.find(secret.text) is not None:
            return secret.text
        return (await keys.create(body, secret)).key
    finally:
        await database.close()


if __name__ == "__main__":
    run_program(main)
