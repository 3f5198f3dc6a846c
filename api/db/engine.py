"""Manages the connections to Postgres: one engine per process, one transaction per unit of work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from select import POLLIN, poll
from typing import Any

from sqlalchemy import event, func, select, text
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import QueuePool


async def lock_content(session: AsyncSession, checksum: str) -> None:
    """Lock the stored file with this checksum until the transaction ends, so that no other adds or removes a row of it.

    Otherwise deleting the last row could remove the file of a row that is being added.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(checksum, 0))))


@dataclass(frozen=True)
class PoolUse:
    """The numbers of connections in use, idle and allowed."""

    in_use: int
    idle: int
    most: int


def _replace_closed(connection: Any, *_: object) -> None:
    """Replace a connection that the server has closed, and all older ones, at checkout.

    The server sends nothing on an idle connection except its end, so a poll suffices; `pool_pre_ping` would add a round
    trip to every transaction.
    """
    incoming = poll()
    if not connection.closed:
        incoming.register(connection.driver_connection.fileno(), POLLIN)
    if connection.closed or incoming.poll(0):
        raise InvalidatePoolError("the server has closed the connection")


class Database:
    """Opens transactions, each of which an error inside rolls back."""

    def __init__(self, url: str, share_half_life: timedelta = timedelta(days=1)) -> None:
        """share_half_life: see api/usage/shares.py, which reads it from the sessions' `info`."""
        self.engine = create_async_engine(
            url,
            # No overflow: its connections would be opened, with a login, for every use under load.
            pool_size=20,
            max_overflow=0,
            pool_timeout=10,
            connect_args={"connect_timeout": 5},
        )
        event.listen(self.engine.sync_engine, "checkout", _replace_closed)
        info = {"share_half_life": share_half_life}
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, info=info)
        alone = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._single_statements = async_sessionmaker(alone, expire_on_commit=False, info=info)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end of the block."""
        async with self._sessions.begin() as session:
            yield session

    def pool(self) -> PoolUse:
        """The pool's present use."""
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        return PoolUse(in_use=pool.checkedout(), idle=pool.checkedin(), most=pool.size())

    @asynccontextmanager
    async def single_statements(self) -> AsyncIterator[AsyncSession]:
        """A session in autocommit mode, which saves the round trips of begin and commit.

        For single statements, or several that need no common snapshot: read committed would give them none either.
        """
        async with self._single_statements() as session:
            yield session

    async def revision(self) -> str | None:
        """The database's migration; None before the first one."""
        async with self.engine.connect() as connection:
            if not await connection.scalar(text("select to_regclass('alembic_version')")):
                return None
            found = await connection.scalar(text("select version_num from alembic_version"))
            return str(found) if found else None

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()
