"""What is in a backup: a tar of this, the database's dump, and the files that the database's rows name."""

from __future__ import annotations

from typing import Final

import psycopg
from pydantic import BaseModel

from api.checkpoints.uploads import key_of
from api.datasets.storing import packed_key

MANIFEST: Final = "manifest.json"
DUMP: Final = "database.dump"
FILES: Final = "files/"


class BackedUp(BaseModel):
    """One file. Of an upload that is still to be checked nothing is known but where it lies."""

    key: str
    sha256: str | None = None
    size: int | None = None


class Manifest(BaseModel):
    """What a backup says of itself; `revision` is the database's migration."""

    version: str
    revision: str
    made_at: str
    files: list[BackedUp]


def files_named(connection: psycopg.Connection) -> list[BackedUp]:
    """All files that rows name, as the connection's transaction sees them."""
    found = [
        BackedUp(key=key, sha256=sha256, size=size)
        for key, sha256, size in connection.execute("select key, sha256, size from checkpoints")
    ]
    for sha256, size in connection.execute("select distinct sha256, size from uploads"):
        found.append(BackedUp(key=key_of(sha256), sha256=sha256, size=size))
    ready = "select distinct checksum, size from datasets where checksum is not null"
    for checksum, size in connection.execute(ready):
        found.append(BackedUp(key=packed_key(checksum), sha256=checksum, size=size))
    waiting = "select request ->> 'upload' from datasets where state = 'checking' and request ->> 'upload' is not null"
    found += [BackedUp(key=key) for (key,) in connection.execute(waiting)]
    return found
