"""Genotypes that users have given a name, next to the published ones."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from api.database import Database
from api.models import RegisteredGenotype
from api.problems import conflict, not_found
from darts_core.genotypes import KNOWN, Genotype, parse, to_json


class GenotypeRegistry:
    """Names are given once: what a name stands for never changes while anybody may be using it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, name: str, genotype: Genotype) -> bool:
        """Give a genotype a name. Whether it is new; 409 when the name stands for another one."""
        if name in KNOWN:
            if KNOWN[name] == genotype:
                return False
            raise conflict(f"{name} is the name of a published genotype; choose another one")
        row = {"name": name, "family": "cnn", "genotype": to_json(genotype)}
        statement = insert(RegisteredGenotype).values(row).on_conflict_do_nothing().returning(RegisteredGenotype.name)
        async with self._database.transaction() as session:
            if await session.scalar(statement) is not None:
                return True
            stored = await session.get(RegisteredGenotype, name)
        if stored is not None and parse(stored.genotype) == genotype:
            return False
        raise conflict(f"{name} is registered for another genotype; choose another name, or delete that one first")

    async def get(self, name: str) -> Genotype:
        """The genotype of a published or registered name, or 404 with the names there are."""
        found = KNOWN.get(name) or await self._registered(name)
        if found is None:
            raise not_found("genotype", f"{name!r}; known: {', '.join(await self.names())}")
        return found

    async def names(self) -> list[str]:
        """Published names first, then the registered ones in alphabetical order."""
        async with self._database.transaction() as session:
            return [*KNOWN, *await session.scalars(select(RegisteredGenotype.name).order_by(RegisteredGenotype.name))]

    async def delete(self, name: str) -> None:
        """Forget a registered name; jobs keep the genotype they took. 409 for a published one, 404 for none."""
        if name in KNOWN:
            raise conflict(f"{name} is a published genotype: it stays")
        async with self._database.transaction() as session:
            stored = await session.get(RegisteredGenotype, name)
            if stored is None:
                raise not_found("genotype", repr(name))
            await session.delete(stored)

    async def resolve(self, value: str | dict[str, Any]) -> str | dict[str, Any]:
        """A registered name's genotype; anything else as it is."""
        found = await self._registered(value.strip()) if isinstance(value, str) else None
        return value if found is None else to_json(found)

    async def _registered(self, name: str) -> Genotype | None:
        if len(name) > 100 or "\x00" in name:
            return None
        async with self._database.transaction() as session:
            stored = await session.get(RegisteredGenotype, name)
        return None if stored is None else parse(stored.genotype)
