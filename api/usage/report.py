"""Sums up what attempts have taken, ended and running ones, by owner, project, kind, device and day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import DateTime, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from api.schemas.usage import UsageKey, UsageOut, UsageRow, UsageSums

# An attempt counts in parts, one for each day in UTC: its run time is taken to be spread evenly from start to end.
# The run time of running attempts is as in api/jobs/run_time.py.
_SUMS: Final = """
with taken as (
    select attempt_id, job_id, kind, owner, project, device, gpus, seconds, lost_seconds, joules, started_at,
        ended_at
    from usage where ended_at >= :since and started_at < :until
    union all
    select attempts.id, jobs.id, kind, owner, project, device, jobs.gpus,
        seconds + greatest(extract(epoch from least(now(), lease_expires_at) - renewed_at)::float8, 0), 0, joules,
        attempts.started_at, greatest(now(), attempts.started_at)
    from attempts join jobs on jobs.id = job_id left join workers on workers.name = attempts.worker
    where attempts.status = 'running' and attempts.started_at < :until and now() >= :since
), parts as (
    select taken.*, day::date, case when ended_at > started_at then extract(epoch from
        least(ended_at, :until, (day + interval '1 day') at time zone 'UTC')
        - greatest(started_at, :since, day at time zone 'UTC')
    ) / extract(epoch from ended_at - started_at) else 1 end::float8 as share
    from taken cross join generate_series(
        date_trunc('day', greatest(started_at, :since) at time zone 'UTC'),
        least(ended_at, :until) at time zone 'UTC',
        interval '1 day'
    ) as days (day)
)
select {keys}, grouping({keys}) > 0 as is_total, count(distinct job_id) as jobs, count(distinct attempt_id) as attempts,
    coalesce(sum(gpus * seconds * share), 0) as compute_seconds,
    coalesce(sum(gpus * seconds * share) filter (where device not like 'cpu%'), 0) as gpu_seconds,
    coalesce(sum(gpus * lost_seconds * share), 0) as lost_seconds, sum(joules * share) / 3.6e6 as kwh
from parts group by grouping sets (({keys}), ()) order by {order}compute_seconds desc, {keys}
"""


async def usage(session: AsyncSession, by: Sequence[UsageKey], since: datetime, until: datetime) -> UsageOut:
    """The usage from `since` until `until`, both with a time zone, divided by at least one key.

    session: of a transaction, whose `now()` ends what is still running.
    """
    by = list(dict.fromkeys(by))
    rows = [row._asdict() for row in await session.execute(_query(by), {"since": since, "until": until})]
    [total] = [UsageSums.model_validate(row) for row in rows if row["is_total"]]
    fields = {*by, *UsageSums.model_fields}
    groups = [UsageRow(**{name: row[name] for name in fields}) for row in rows if not row["is_total"]]
    return UsageOut(since=since, until=until, by=by, rows=groups, total=total)


def _query(by: Sequence[UsageKey]) -> TextClause:
    statement = _SUMS.format(keys=", ".join(by), order="day, " if "day" in by else "")
    ends = (bindparam(name, type_=DateTime(timezone=True)) for name in ("since", "until"))
    return text(statement).bindparams(*ends)
