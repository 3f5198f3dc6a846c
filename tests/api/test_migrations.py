"""Rows of earlier versions, behind the migrations."""

from __future__ import annotations

import asyncio
import os
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid4

import psycopg
from alembic.script import ScriptDirectory
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import select

from api.checkpoints.lookup import of_upload
from api.db.engine import Database
from api.db.models import Epoch, Upload
from api.db.revisions import head_revision
from api.migrate import alembic_config
from api.schemas.datasets import DatasetState
from api.schemas.jobs import AttemptStatus, Status
from api.schemas.keys import Role
from api.serializers import upload_out
from tests.support.databases import database_at, downgrade, plain, upgrade
from tests.support.service import Service

CLOSED: Final[tuple[tuple[str, str, type[StrEnum]], ...]] = (
    ("jobs", "status", Status),
    ("job_labels", "status", Status),
    ("attempts", "status", AttemptStatus),
    ("datasets", "state", DatasetState),
    ("keys", "role", Role),
    ("audit", "role", Role),
)
_ID = UUID("019335d9-7f00-7000-8000-000000000001")


async def the_upload(database_url: str) -> Upload:
    database = Database(database_url)
    try:
        async with database.transaction() as session:
            return (await session.scalars(select(Upload))).one()
    finally:
        await database.close()


async def the_epochs(database_url: str) -> list[Epoch]:
    database = Database(database_url)
    try:
        async with database.transaction() as session:
            return list(await session.scalars(select(Epoch).order_by(Epoch.epoch)))
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


def test_epochs_get_a_column_for_strengths_and_lose_it_again(service: Service) -> None:
    url = database_at(service, f"strengths_{os.getpid()}", "0016")
    alphas = {"normal": [[0.0, 0.0]], "reduce": [[0.0, 1e9]], "reduce_edges": [[0.5]]}
    reported = {"normal": [[0.25, 0.75]], "reduce": [[0.5, 0.5]]}
    with psycopg.connect(plain(url)) as connection:
        connection.execute(
            "insert into jobs (id, kind, labels, priority, pool, gpus, max_attempts, spec, status, attempt, "
            "lost_attempts, last_sequence) values (%s, 'search', '{}', 5, 'default', 1, 3, '{}', 'queued', 0, 0, 0)",
            (_ID,),
        )
        insert = "insert into epochs (job_id, epoch, attempt, metrics, seconds, alphas) values (%s, %s, 1, '{}', 1, %s)"
        for epoch in (1, 2):
            connection.execute(insert, (_ID, epoch, Jsonb(alphas)))
    upgrade(url, "0017")
    with psycopg.connect(plain(url)) as connection:
        connection.execute("update epochs set strengths = %s where epoch = 2", (Jsonb(reported),))
    older, newer = asyncio.run(the_epochs(url))
    assert (older.alphas, older.strengths) == (alphas, {"normal": [[0.5, 0.5]], "reduce": [[0.0, 1.0]]})
    assert newer.strengths == reported
    downgrade(url, "0016")
    with psycopg.connect(plain(url)) as connection:
        stored = [row for (row,) in connection.execute("select to_jsonb(epochs) from epochs order by epoch")]
    assert [(row["epoch"], row["alphas"], "strengths" in row) for row in stored] == [
        (1, alphas, False),
        (2, alphas, False),
    ]


def test_rows_keep_their_statuses_behind_the_constraints_and_without_them_again(service: Service) -> None:
    url = database_at(service, f"closed_{os.getpid()}", "0015")
    with psycopg.connect(plain(url)) as connection:
        for status in Status:
            connection.execute(
                "insert into jobs (id, kind, labels, priority, pool, gpus, max_attempts, spec, status, attempt, "
                "lost_attempts, last_sequence) values (%s, 'search', %s, 5, 'default', 1, 3, '{}', %s, 0, 0, 0)",
                (job := uuid4(), Jsonb({"team": "blue"}), status.value),
            )
        for number, attempt_status in enumerate(AttemptStatus):
            connection.execute(
                "insert into attempts (id, job_id, number, worker, token_hash, status, last_report, lease_expires_at) "
                "values (gen_random_uuid(), %s, %s, 'w', %s, %s, 0, now())",
                (job, number, str(number), attempt_status.value),
            )
        for state in DatasetState:
            connection.execute(
                "insert into datasets (id, name, kind, request, state, body_hash) "
                "values (gen_random_uuid(), %s, 'images', '{}', %s, '')",
                (state.value, state.value),
            )
        for role in Role:
            connection.execute(
                "insert into keys (id, role, owner, lookup, secret_hash) values (gen_random_uuid(), %s, 'o', %s, '')",
                (role.value, role.value),
            )
            connection.execute(
                "insert into audit (id, method, path, status, role) values (gen_random_uuid(), 'POST', '/', 200, %s)",
                (role.value,),
            )

        def values() -> list[set[str]]:
            return [
                {value for (value,) in connection.execute(sql.SQL("select {} from {}").format(*map(sql.Identifier, c)))}
                for c in ((column, table) for table, column, _ in CLOSED)
            ]

        def refused() -> list[str]:
            names = []
            for table, column, _ in CLOSED:
                statement = sql.SQL("update {} set {} = 'unheard of'").format(*map(sql.Identifier, (table, column)))
                try:
                    with connection.transaction(force_rollback=True):
                        connection.execute(statement)
                except psycopg.errors.CheckViolation as error:
                    names.append(f"{table} {error.diag.constraint_name}")
            return names

        stored = [{member.value for member in enum} for _, _, enum in CLOSED]
        assert values() == stored
        connection.commit()
        upgrade(url, "head")
        assert values() == stored
        assert refused() == [f"{table} ck_{table}_{column}" for table, column, _ in CLOSED]
        connection.commit()
        downgrade(url, "0015")
        assert values() == stored
        assert refused() == []
