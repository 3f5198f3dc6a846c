"""The connection to Postgres: one engine a process, one transaction a piece of work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


async def lock_content(session: AsyncSession, checksum: str) -> None:
    """Until the transaction ends, nobody else adds or removes a row that shares the stored file of this checksum.

    Else who deletes a file's last row and who adds another one could pass each other, and the new row lose its file.
    """
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(checksum, 0))))


class Database:
    """Hands out transactions. Every error inside one rolls it back whole."""

    def __init__(self, url: str) -> None:
        self.engine = create_async_engine(
            url,
            # None beyond: those would be made anew, with a login, for every use in a rush.
            pool_size=20,
            max_overflow=0,
            pool_timeout=10,
            # A connection that a restarted server has closed is replaced, not handed out.
            pool_pre_ping=True,
            connect_args={"connect_timeout": 5},
        )
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end of the block."""
        async with self._sessions.begin() as session:
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
