"""Registers genotypes by name, next to the published ones."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from api.db.engine import Database
from api.db.models import RegisteredGenotype
from api.http.problems import conflict, not_found
from darts_core.families import FAMILIES
from darts_core.genotypes import (
    KNOWN,
    AnyGenotype,
    RecurrentGenotype,
    family_of,
    parse,
    to_json,
)
from darts_core.genotypes.nasbench201 import is_nasbench201
from darts_core.genotypes.random_cells import RANDOM
from darts_core.primitives import Family
from darts_core.validation import did_you_mean


class GenotypeRegistry:
    """Registered names. A name cannot be reassigned, since a client may be using it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, name: str, genotype: AnyGenotype) -> bool:
        """Register a genotype; returns whether it is new. Raises ProblemError 409 if the name has another genotype."""
        if name == RANDOM:
            raise conflict(f"{name} stands for a randomly drawn cell; choose another name")
        family = _family(genotype)
        published = FAMILIES[family].known
        if name in published:
            if published[name] == genotype:
                return False
            raise conflict(f"{name} is the name of a published genotype; choose another one")
        row = {"name": name, "family": family, "genotype": to_json(genotype)}
        statement = insert(RegisteredGenotype).values(row).on_conflict_do_nothing().returning(RegisteredGenotype.name)
        async with self._database.transaction() as session:
            if await session.scalar(statement) is not None:
                return True
            stored = await session.get(RegisteredGenotype, name)
        if stored is not None and _cell(stored) == genotype:
            return False
        raise conflict(f"{name} is registered for another genotype; choose another name, or delete that one first")

    async def get(self, name: str, family: Family | None = None) -> AnyGenotype:
        """The genotype with a published or registered name, or the cell of NAS-Bench-201 with this string or index.

        Raises ProblemError 404 with the known names. family: without one, a name published in both families means cnn.
        """
        first, *others = FAMILIES.values() if family is None else [FAMILIES[family]]
        found = first.known.get(name) or await self._registered(name)
        if found is None and family != "rnn" and is_nasbench201(name):
            found = parse(name)
        found = found or next((other.known[name] for other in others if name in other.known), None)
        if found is None or (family is not None and _family(found) != family):
            known = await self.names(family)
            raise not_found("genotype", f"{name!r}{did_you_mean(name, known)}; known: {', '.join(known)}")
        return found

    async def names(self, family: Family | None = None) -> list[str]:
        """Published names, then registered ones in alphabetical order; of one family if given."""
        query = select(RegisteredGenotype.name).order_by(RegisteredGenotype.name)
        if family is not None:
            query = query.where(RegisteredGenotype.family == family)
        published = [name for each in FAMILIES.values() if family in (None, each.name) for name in each.known]
        async with self._database.transaction() as session:
            return list(dict.fromkeys([*published, *await session.scalars(query)]))

    async def delete(self, name: str) -> None:
        """Delete a registered name; jobs keep their genotypes. Raises ProblemError 409 for a published name, 404 if
        unknown.
        """
        if name in KNOWN:
            raise conflict(f"{name} is a published genotype: it cannot be deleted")
        async with self._database.transaction() as session:
            stored = await session.get(RegisteredGenotype, name)
            if stored is None:
                raise not_found("genotype", repr(name))
            await session.delete(stored)

    async def resolve(self, value: str | dict[str, Any], family: str | None = None) -> str | dict[str, Any]:
        """A registered name's genotype; any other value unchanged, including a published name of the family."""
        if not isinstance(value, str) or (family is not None and value in FAMILIES[family].known):
            return value
        found = await self._registered(value.strip())
        return value if found is None else to_json(found)

    async def _registered(self, name: str) -> AnyGenotype | None:
        if len(name) > 100 or "\x00" in name:
            return None
        async with self._database.transaction() as session:
            stored = await session.get(RegisteredGenotype, name)
        return None if stored is None else _cell(stored)


def _cell(stored: RegisteredGenotype) -> AnyGenotype:
    return parse(stored.genotype, family_of(stored.genotype))


def _family(genotype: AnyGenotype) -> Family:
    return "rnn" if isinstance(genotype, RecurrentGenotype) else "cnn"
