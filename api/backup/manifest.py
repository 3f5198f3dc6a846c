"""What is in a backup: a tar of this, the database's dump, and the files that the database's rows name."""

from __future__ import annotations

from typing import Final

import psycopg
from pydantic import BaseModel

from api.checkpoints.uploads import key_of
from api.datasets.storage import packed_key

MANIFEST: Final = "manifest.json"
DUMP: Final = "database.dump"
FILES: Final = "files/"


class BackedUp(BaseModel):
    """One file that a row names. Of an upload that is still to be checked nothing is known but where it lies.

    of: the job, the upload or the data set, for messages. problem: of a damaged file, which is not in the backup.
    """

    key: str
    sha256: str | None = None
    size: int | None = None
    of: str = ""
    problem: str | None = None


class Manifest(BaseModel):
    """What a backup says of itself; `revision` is the database's migration."""

    version: str
    revision: str
    made_at: str
    files: list[BackedUp]
    damaged: list[BackedUp] = []


def files_named(connection: psycopg.Connection) -> list[BackedUp]:
    """All files that rows name, as the connection's transaction sees them."""
    checkpoints = (
        "select c.key, c.sha256, c.size, j.kind || ' ' || j.id || ', epoch ' || c.epoch "
        "from checkpoints c join jobs j on j.id = c.job_id"
    )
    found = [
        BackedUp(key=key, sha256=sha256, size=size, of=of) for key, sha256, size, of in connection.execute(checkpoints)
    ]
    uploads = "select sha256, size, string_agg('uploaded checkpoint ' || id, ', ') from uploads group by 1, 2"
    for sha256, size, of in connection.execute(uploads):
        found.append(BackedUp(key=key_of(sha256), sha256=sha256, size=size, of=of))
    ready = (
        "select checksum, size, string_agg('data set ' || name, ', ') from datasets where checksum is not null "
        "group by 1, 2"
    )
    for checksum, size, of in connection.execute(ready):
        found.append(BackedUp(key=packed_key(checksum), sha256=checksum, size=size, of=of))
    waiting = (
        "select request ->> 'upload', 'data set ' || name from datasets "
        "where state = 'checking' and request ->> 'upload' is not null"
    )
    found += [BackedUp(key=key, of=of) for key, of in connection.execute(waiting)]
    return found
