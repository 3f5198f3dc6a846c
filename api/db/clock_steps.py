"""Notices when the database's clock is set forward or back."""

from __future__ import annotations

import time

from sqlalchemy import Double, cast, extract, func, select

from api.db.engine import Database


def clock() -> float:
    """Seconds that go on while the machine sleeps, as the database's do where it is another one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class DatabaseClock:
    """Compares the database's clock with this process's, which nothing sets."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ahead: tuple[float, float] | None = None

    async def step(self) -> float:
        """Seconds by which it was set since the last call, as far as that is certain; 0.0 at the first."""
        before = clock()
        async with self._database.single_statements() as session:
            there = await session.scalar(select(cast(extract("epoch", func.clock_timestamp()), Double))) or 0.0
        # It was read at some moment of the question: so far ahead at least, and so far at most.
        least, most = there - clock(), there - before
        if self._ahead is None:
            self._ahead = least, most
        least_before, most_before = self._ahead
        self._ahead = least, most
        return max(0.0, least - most_before) or min(0.0, most - least_before)
