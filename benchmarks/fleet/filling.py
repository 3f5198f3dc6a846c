"""Fills the database with copies of jobs created through the API, queued and ended.

100,000 jobs through the API would take an hour. The rows equal the API's; checkpoints have rows but no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from psycopg import Connection

COMMON, RARE = "fleet=all", "fleet-few=yes"
"""Labels: of every filled job, and of fifty, however many there are."""


class Middles(NamedTuple):
    """Jobs in the middle of the ended ones and of the queued ones."""

    ended: UUID
    queued: UUID


# Ten milliseconds between two jobs, ended ones before queued ones. Every tenth queued job asks, at the
# head of the queue, for four GPUs that no worker has.
_JOBS: Final = """
insert into jobs
select filled.* from generate_series(1, %(count)s) as i
join jobs as template on template.id = (%(templates)s::uuid[])[1 + i %% cardinality(%(templates)s::uuid[])]
cross join lateral jsonb_populate_record(template, jsonb_build_object(
    'id', uuidv7(make_interval(secs => 0.01 * (i - 1 - %(count)s - %(newer)s))),
    'labels', '{"fleet": "all"}'::jsonb
        || case when i %% greatest(1, %(count)s / 25) = 0 then '{"fleet-few": "yes"}'::jsonb else '{}' end,
    'priority', case when i %% 10 = 0 then 9 else i %% 9 end,
    'gpus', case when i %% 10 = 0 then 4 else 1 end
) || case when %(ended)s then jsonb_build_object(
    'status', case when i %% 25 = 0 then 'failed' else 'succeeded' end,
    'attempt', 1, 'last_sequence', 4, 'threads', 1, 'started_at', now(), 'finished_at', now(),
    'metrics', jsonb_build_object('validation_accuracy', 50.0 + mod(i * 7919, 40000) / 1000.0)
) else '{}' end) as filled
"""
_QUEUED_EVENTS: Final = """
insert into events (job_id, sequence, kind, data)
select id, 1, 'status', '{"status": "queued", "reason": null, "attempt": 0}'::jsonb from jobs where labels ? 'fleet'
"""
_ENDED: Final = (
    """
insert into attempts (id, job_id, number, worker, token_hash, status, last_report, lease_expires_at, ended_at)
select uuidv7(), id, 1, 'gone', md5(id::text), status, 2, now(), now() from jobs where labels ? 'fleet' and attempt = 1
""",
    # One that has ended in each hour of the past.
    """
insert into usage (attempt_id, job_id, kind, device, gpus, seconds, lost_seconds, started_at, ended_at)
select attempt, job, kind, 'cpu', gpus, 60, 0, ended - interval '1 minute', ended
from (
    select attempts.id as attempt, jobs.id as job, kind, gpus,
        now() - make_interval(hours => row_number() over (order by attempts.id)::int) as ended
    from attempts join jobs on jobs.id = job_id where labels ? 'fleet' and jobs.attempt = 1
) as spread
""",
    """
insert into epochs (job_id, epoch, attempt, metrics, seconds)
select id, 1, 1, metrics, 1 from jobs where labels ? 'fleet' and attempt = 1
""",
    """
insert into events (job_id, sequence, kind, data)
select id, told.* from jobs cross join lateral (values
    (2, 'status', '{"status": "running", "reason": "attempt 1 on gone", "attempt": 1}'::jsonb),
    (3, 'epoch', '{"epoch": 1, "attempt": 1, "metrics": {"validation_accuracy": 50.0}, "seconds": 1}'::jsonb),
    (4, 'status', jsonb_build_object('status', status, 'reason', null, 'attempt', 1))
) as told where labels ? 'fleet' and attempt = 1
""",
    """
insert into checkpoints (id, job_id, epoch, attempt, key, sha256, size, metrics)
select uuidv7(), id, 1, 1, 'none/' || id, md5(id::text), 1, metrics from jobs where labels ? 'fleet' and attempt = 1
""",
    """
insert into idempotency_keys (key, body_hash, job_id)
select 'filled ' || id, md5(id::text), id from jobs where labels ? 'fleet' and attempt = 1
""",
)


def fill(database_url: str, templates: Sequence[UUID], *, queued: int, ended: int) -> Middles:
    """Copy the template jobs, which are queued and have no labels. Analyses the tables afterwards."""
    import psycopg

    with psycopg.connect(database_url.replace("postgresql+psycopg:", "postgresql:"), autocommit=True) as connection:
        with connection.transaction():
            _copy(connection, templates, ended, newer=queued, ended=True)
            _copy(connection, templates, queued, newer=0, ended=False)
            for statement in (_QUEUED_EVENTS, *_ENDED):
                connection.execute(statement)
        connection.execute("vacuum analyze")  # autovacuum does the same within minutes
        return Middles(_middle(connection, 1, ended), _middle(connection, 0, queued))


def _copy(connection: Connection[Any], templates: Sequence[UUID], count: int, *, newer: int, ended: bool) -> None:
    of = {"count": count, "templates": list(templates), "newer": newer, "ended": ended}
    connection.execute(_JOBS, of)


def _middle(connection: Connection[Any], attempt: int, count: int) -> UUID:
    query = "select id from jobs where labels ? 'fleet' and attempt = %s order by id offset %s limit 1"
    [found] = connection.execute(query, [attempt, count // 2]).fetchone() or []
    return UUID(str(found))
