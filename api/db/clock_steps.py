"""Detects steps of the database's clock, forward or back."""

from __future__ import annotations

import time

from sqlalchemy import Double, cast, extract, func, select

from api.db.engine import Database


def clock() -> float:
    """Monotonic seconds that include the machine's sleep, as a remote database's clock does."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class DatabaseClock:
    """Compares the database's clock with this process's monotonic clock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ahead: tuple[float, float] | None = None

    async def step(self) -> float:
        """The seconds by which the clock was certainly set since the last call; 0.0 on the first call."""
        before = clock()
        async with self._database.single_statements() as session:
            there = await session.scalar(select(cast(extract("epoch", func.clock_timestamp()), Double))) or 0.0
        # The clock was read during the query, which bounds the difference from both sides.
        least, most = there - clock(), there - before
        if self._ahead is None:
            self._ahead = least, most
        least_before, most_before = self._ahead
        self._ahead = least, most
        return max(0.0, least - most_before) or min(0.0, most - least_before)
