"""Reads the final state from the database and compares it with the watchers' events."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import UUID

from benchmarks.chaos.watching import Seen

Alphas = dict[int, Any]
"""By epoch, as stored."""


@dataclass(frozen=True)
class Ledger:
    """Rows of the given jobs."""

    statuses: dict[UUID, str] = field(default_factory=dict)
    epochs: dict[UUID, list[tuple[int, Any]]] = field(default_factory=dict)
    events: dict[UUID, list[Seen]] = field(default_factory=dict)
    all_jobs: int = 0
    lost_attempts: int = 0
    compute_seconds: float = 0.0
    messages: dict[UUID, str] = field(default_factory=dict)
    """Types of the messages to webhooks."""

    def alphas(self, job_id: UUID) -> Alphas:
        return dict(self.epochs[job_id])

    def epoch_events(self, job_id: UUID) -> Counter[int]:
        """Number of events per epoch."""
        return Counter(e.data["epoch"] for e in self.events[job_id] if e.kind == "epoch")


def read(database_url: str, job_ids: Collection[UUID]) -> Ledger:
    """Read all rows of these jobs in one snapshot."""
    import psycopg

    ids = list(job_ids)
    ledger = Ledger(epochs={i: [] for i in ids}, events={i: [] for i in ids})
    with psycopg.connect(database_url.replace("postgresql+psycopg:", "postgresql:")) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        [count] = connection.execute("select count(*) from jobs").fetchone() or [0]
        lost, seconds = connection.execute(
            "select count(*) filter (where status = 'lost'), coalesce(sum(seconds), 0) from attempts "
            "where job_id = any(%s)",
            [ids],
        ).fetchone() or (0, 0.0)
        ledger.messages.update(connection.execute("select id, type from webhook_deliveries"))
        ledger.statuses.update(connection.execute("select id, status from jobs where id = any(%s)", [ids]))
        for job_id, epoch, alphas in connection.execute(
            "select job_id, epoch, alphas from epochs where job_id = any(%s) order by job_id, epoch", [ids]
        ):
            ledger.epochs[job_id].append((epoch, alphas))
        for job_id, *event in connection.execute(
            "select job_id, sequence, kind, data from events where job_id = any(%s) order by job_id, sequence", [ids]
        ):
            ledger.events[job_id].append(Seen(*event))
    return Ledger(ledger.statuses, ledger.epochs, ledger.events, count, lost, seconds, ledger.messages)


def undelivered(database_url: str) -> int:
    """How many messages to webhooks are waiting."""
    import psycopg

    with psycopg.connect(database_url.replace("postgresql+psycopg:", "postgresql:")) as connection:
        [count] = connection.execute("select count(*) from webhook_deliveries where state = 'pending'").fetchone() or [
            0
        ]
        return int(count)


@dataclass
class Watched:
    """Differences between a watcher's events and the stored ones. All zero: each event once, in order, unchanged."""

    missed: int = 0
    doubled: int = 0
    out_of_order: int = 0
    unknown: int = 0

    def add(self, seen: list[Seen], stored: list[Seen]) -> None:
        """Compare one watcher's events with the job's log."""
        there = Counter(map(_fingerprint, stored))
        came = Counter(map(_fingerprint, seen))
        self.missed += sum(1 for event in there if event not in came)
        self.doubled += sum(count - 1 for event, count in came.items() if event in there)
        self.unknown += sum(count for event, count in came.items() if event not in there)
        self.out_of_order += sum(1 for a, b in pairwise(seen) if b.sequence < a.sequence)


def _fingerprint(event: Seen) -> str:
    return json.dumps([event.sequence, event.kind, event.data], sort_keys=True)
