"""Adds schedules, and makes them due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from api.schemas.schedules import ScheduleOut
from tests.support.databases import plain
from tests.support.service import Bench, Service

Add = Callable[..., ScheduleOut]
Due = Callable[..., datetime]


@pytest.fixture
def add(bench: Bench) -> Iterator[Add]:
    """Adds a schedule of searches at each full hour, in the pool of the test."""
    added: list[ScheduleOut] = []

    def add(cron: str = "0 * * * *", request: dict[str, Any] | None = None, **options: Any) -> ScheduleOut:
        body = {"dataset": "digits", "epochs": 1, "pool": bench.pool, **(request or {})}
        added.append(bench.dartboard.add_schedule("search", body, cron=cron, **options))
        return added[-1]

    yield add
    left = {each.id for each in bench.dartboard.schedules()}
    for schedule in added:
        if schedule.id in left:
            bench.dartboard.remove_schedule(schedule.id)


@pytest.fixture
def due(service: Service) -> Due:
    """Moves the next time of a schedule into the past; returns it."""

    def due(schedule: ScheduleOut, ago: timedelta = timedelta(minutes=1)) -> datetime:
        with psycopg.connect(plain(service.database_url)) as connection:
            query = "update schedules set next_at = now() - %s where id = %s returning next_at"
            row = connection.execute(query, [ago, schedule.id]).fetchone()
        assert row is not None
        moved: datetime = row[0]
        return moved

    return due
