"""Sums the run time of attempts in a way that is immune to steps of the database's clock.

A row holds the seconds up to the last renewal of its lease: by the worker's own clock if its heartbeat gives them, else
by the database's clock between renewals, each limited to the lease.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, Double, FromClause, case, cast, extract, func

from api.db.models import Attempt


def run_seconds(attempts: FromClause = Attempt.__table__) -> ColumnElement[float]:
    """Seconds from the claim to the end, or to now; also the value stored at a renewal and at the end."""
    columns = attempts.c
    since = extract("epoch", func.least(func.now(), columns.lease_expires_at) - columns.renewed_at)
    since_renewed = case((columns.status == "running", func.greatest(cast(since, Double), 0)), else_=0)
    return columns.seconds + since_renewed


def renew(attempt: Attempt, lease: timedelta) -> None:
    """Renew the attempt's lease on the next flush."""
    attempt.seconds, attempt.renewed_at = run_seconds(), func.now()
    attempt.lease_expires_at = func.now() + lease
