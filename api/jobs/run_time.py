"""How long attempts have run, by sums that a step of the database's clock cannot spoil.

A row has the seconds up to the last renewal of its lease: by its worker's own clock where a heartbeat told, else by the
database's from renewal to renewal, of which no more than the lease counts.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, Double, FromClause, case, cast, extract, func

from api.db.models import Attempt


def run_seconds(attempts: FromClause = Attempt.__table__) -> ColumnElement[float]:
    """Seconds from the claim to the end, or to now: also what a renewal and the end of an attempt store."""
    columns = attempts.c
    since = extract("epoch", func.least(func.now(), columns.lease_expires_at) - columns.renewed_at)
    since_renewed = case((columns.status == "running", func.greatest(cast(since, Double), 0)), else_=0)
    return columns.seconds + since_renewed


def renew(attempt: Attempt, lease: timedelta) -> None:
    """Let the attempt's lease begin anew, with the next flush."""
    attempt.seconds, attempt.renewed_at = run_seconds(), func.now()
    attempt.lease_expires_at = func.now() + lease
