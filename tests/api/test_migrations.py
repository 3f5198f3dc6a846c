"""Rows of earlier versions, behind the migrations."""

from __future__ import annotations

import asyncio
import os
from uuid import UUID

import psycopg
from alembic.script import ScriptDirectory
from psycopg.types.json import Jsonb
from sqlalchemy import select

from api.checkpoints.lookup import of_upload
from api.db.engine import Database
from api.db.models import Upload
from api.db.revisions import head_revision
from api.migrate import alembic_config
from api.serializers import upload_out
from tests.support.databases import database_at, plain, upgrade
from tests.support.service import Service

_ID = UUID("019335d9-7f00-7000-8000-000000000001")


async def the_upload(database_url: str) -> Upload:
    database = Database(database_url)
    try:
        async with database.transaction() as session:
            return (await session.scalars(select(Upload))).one()
    finally:
        await database.close()


def test_the_last_number_is_the_head_of_the_chain() -> None:
    assert head_revision() == ScriptDirectory.from_config(alembic_config()).get_current_head()


def test_a_job_that_an_earlier_version_took_is_found_by_its_labels(service: Service) -> None:
    url = database_at(service, f"labelled_{os.getpid()}", "0007")
    with psycopg.connect(plain(url)) as connection:
        connection.execute(
            "insert into jobs (id, kind, labels, priority, pool, gpus, max_attempts, spec, status, attempt, "
            "lost_attempts, last_sequence) values (%s, 'search', %s, 5, 'default', 1, 3, '{}', 'queued', 0, 0, 0)",
            (_ID, Jsonb({"team": "blue"})),
        )
    upgrade(url, "head")
    with psycopg.connect(plain(url)) as connection:
        found = connection.execute("select job_id, key, value, kind, status from job_labels").fetchall()
    assert found == [(_ID, "team", "blue", "search", "queued")]


def test_a_checkpoint_that_an_earlier_version_took_is_listed_and_can_be_scored(service: Service) -> None:
    url = database_at(service, f"older_{os.getpid()}", "0004")
    about = {"dataset": "digits", "classes": 10, "genotype": None}
    with psycopg.connect(plain(url)) as connection:
        connection.execute(
            "insert into uploads (id, name, format, sha256, size, about) values (%s, 'my.pt', 'dartboard', %s, 1, %s)",
            (_ID, "0" * 64, Jsonb(about)),
        )
    upgrade(url, "head")
    upload = asyncio.run(the_upload(url))
    out = upload_out(upload)
    assert (out.id, out.family, out.dataset, out.dataset_checksum, out.classes) == (_ID, "cnn", "digits", None, 10)
    assert of_upload(upload).dataset == "digits"
