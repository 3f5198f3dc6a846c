"""Describes the contents of a backup: a tar of the manifest, the database dump and the files that rows name."""

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
    """A file that a row names. For an upload that is not checked yet, only the key is known.

    of: the job, upload or data set, for messages. problem: of a damaged file, which the backup omits.
    """

    key: str
    sha256: str | None = None
    size: int | None = None
    of: str = ""
    problem: str | None = None


class Manifest(BaseModel):
    """The description of a backup. revision: the database's migration."""

    version: str
    revision: str
    made_at: str
    files: list[BackedUp]
    damaged: list[BackedUp] = []


def files_named(connection: psycopg.Connection) -> list[BackedUp]:
    """All files that rows name, in the snapshot of the connection's transaction."""
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
