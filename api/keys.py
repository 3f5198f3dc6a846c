"""Creates a key directly in the database: `python -m api.keys create`, with the service's DATABASE_URL.

Use it for the first admin key; `dartboard keys` creates others through the service. `adopt` stores a key from a file,
as containers get it from `python -m api.provision`.
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
    """Print the new key on a line of its own; an adopted one is not printed."""
    parser = argparse.ArgumentParser(prog="python -m api.keys", description="Keys of the Dartboard API.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="create a key and print it: only its hash is stored")
    adopt = commands.add_parser("adopt", help="store an existing key unless it is known; a revoked key stays revoked")
    adopt.add_argument("file", type=Path, help="the file with the key, as created by `python -m api.provision`")
    for command in (create, adopt):
        command.add_argument("--role", choices=[role.value for role in Role], default=Role.ADMIN.value)
        command.add_argument("--owner", default="admin", help="the owner of everything created with the key")
    arguments = parser.parse_args()
    secret = None
    if arguments.command == "adopt" and (secret := secret_of(arguments.file.read_text().strip())) is None:
        print(f"{arguments.file} holds no key: create it with `python -m api.provision`", file=sys.stderr)
        return 2
    try:
        body = KeyCreate(role=Role(arguments.role), owner=arguments.owner)
    except ValidationError as error:
        print(f"--owner: {field_errors(error.errors())[0].msg}", file=sys.stderr)
        return 2
    try:
        key = asyncio.run(_create(body, secret))
    except (OperationalError, ProgrammingError) as error:
        where = get_settings().database_url.get_secret_value().rpartition("@")[2]
        remedy = "check DATABASE_URL, and run `python -m api.migrate` first"
        print(f"cannot store a key in {where}: {error.orig}; {remedy}", file=sys.stderr)
        return 1
    if secret is None:
        print(key)
    return 0


async def _create(body: KeyCreate, secret: Secret | None) -> str:
    """The key's text. A known secret is left unchanged."""
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
