"""The connection to Postgres: one engine a process, one transaction a piece of work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from select import POLLIN, poll
from typing import Any

from sqlalchemy import event, func, select, text
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import QueuePool


async def lock_content(session: AsyncSession, checksum: str) -> None:
    """Lock the stored file of this checksum until the transaction ends: no other adds or removes a row that shares it.

    Without the lock a deletion of the last row could remove the file of a row that is being added.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(checksum, 0))))


@dataclass(frozen=True)
class PoolUse:
    """Connections."""

    in_use: int
    idle: int
    most: int


def _replace_closed(connection: Any, *_: object) -> None:
    """Replace a connection that its server has closed, and all that are as old, instead of handing it out.

    The server sends nothing on an idle connection except its end. `pool_pre_ping` would add a round trip to every
    transaction.
    """
    incoming = poll()
    if not connection.closed:
        incoming.register(connection.driver_connection.fileno(), POLLIN)
    if connection.closed or incoming.poll(0):
        raise InvalidatePoolError("the server has closed the connection")


class Database:
    """Hands out transactions. Every error inside one rolls it back whole."""

    def __init__(self, url: str) -> None:
        self.engine = create_async_engine(
            url,
            # None beyond: those would be made anew, with a login, for every use in a rush.
            pool_size=20,
            max_overflow=0,
            pool_timeout=10,
            connect_args={"connect_timeout": 5},
        )
        event.listen(self.engine.sync_engine, "checkout", _replace_closed)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        alone = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._single_statements = async_sessionmaker(alone, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end of the block."""
        async with self._sessions.begin() as session:
            yield session

    def pool(self) -> PoolUse:
        """How its connections are used now."""
        pool = self.engine.pool
        assert isinstance(pool, QueuePool)
        return PoolUse(in_use=pool.checkedout(), idle=pool.checkedin(), most=pool.size())

    @asynccontextmanager
    async def single_statements(self) -> AsyncIterator[AsyncSession]:
        """A session of which every statement is its own transaction: begin and commit would be two more questions.

        For whatever asks for one thing, or for several that need not agree: in a transaction each statement sees what
        was committed before it, too.
        """
        async with self._single_statements() as session:
            yield session

    async def revision(self) -> str | None:
        """The migration the database stands at, None before the first one."""
        async with self.engine.connect() as connection:
            if not await connection.scalar(text("select to_regclass('alembic_version')")):
                return None
            found = await connection.scalar(text("select version_num from alembic_version"))
            return str(found) if found else None

    async def close(self) -> None:
        """Give all connections back."""
        await self.engine.dispose()
