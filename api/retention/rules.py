"""Sets, lists and removes rules of retention, and previews what they clear."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth.principal import LOCAL, current
from api.db.engine import Database
from api.db.models import RetentionRule
from api.http.problems import ProblemError, invalid_query
from api.kinds import KINDS
from api.retention.clearable import clearable, summary
from api.schemas.jobs import JobKind
from api.schemas.keys import Role
from api.schemas.retention import RetentionOut, RetentionPreview, RetentionSet


class RuleKey(NamedTuple):
    """The jobs of a rule, and who sets it: the owner, or an admin."""

    own: bool
    owner: str | None
    kind: JobKind | None

    @classmethod
    def of_caller(cls, owner: str | None, kind: JobKind | None, *, own: bool) -> RuleKey:
        """The rule that the request means: an admin's for the owner or all, otherwise the caller's own one.

        own: the owner's own rule, for an admin. Raises ProblemError 422 for a kind that does not train, or without an
        owner whose own rule it is.
        """
        trained = [name for name, each in KINDS.items() if each.trains]
        if kind is not None and kind not in trained:
            raise invalid_query("kind", f"a {kind} has no checkpoints of epochs: give {' or '.join(trained)}, or none")
        caller = current() or LOCAL
        if caller.role is not Role.ADMIN:
            return cls(True, owner or caller.owner, kind)
        if own and owner is None:
            raise invalid_query("owner", "is required: whose own rule?")
        return cls(own, owner, kind)

    def check_caller(self) -> None:
        """Raise ProblemError 403 unless the caller is an admin or the owner."""
        caller = current() or LOCAL
        if caller.role is not Role.ADMIN and caller.owner != self.owner:
            raise ProblemError(403, f"only {self.owner} and admins set rules for {self.owner}: yours is {caller.owner}")

    def __str__(self) -> str:
        jobs = self.kind.collection if self.kind else "all jobs"
        return f"{jobs} of {self.owner or 'all owners'}" + (", set by the owner" if self.own else "")


class RetentionService:
    """Runs each change in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self) -> list[RetentionOut]:
        """All rules, the admins' first."""
        async with self._database.single_statements() as session:
            return await rules_of(session)

    async def set(self, key: RuleKey, body: RetentionSet) -> RetentionOut:
        """Store a rule, or replace it. Raises ProblemError 403 for another owner."""
        key.check_caller()
        values = body.model_dump()
        new = insert(RetentionRule).values(own=key.own, owner=key.owner or "", kind=key.kind or "", **values)
        same = [RetentionRule.own, RetentionRule.owner, RetentionRule.kind]
        async with self._database.transaction() as session:
            await session.execute(new.on_conflict_do_update(index_elements=same, set_=values))
        return RetentionOut(**key._asdict(), **values)

    async def remove(self, key: RuleKey) -> None:
        """Delete a rule. Raises ProblemError 403 for another owner, 404."""
        key.check_caller()
        this = (
            RetentionRule.own == key.own,
            RetentionRule.owner == (key.owner or ""),
            RetentionRule.kind == (key.kind or ""),
        )
        async with self._database.transaction() as session:
            gone = await session.scalar(delete(RetentionRule).where(*this).returning(RetentionRule.owner))
        if gone is None:
            raise ProblemError(404, f"there is no rule for {key}")

    async def preview(self, key: RuleKey, tried: RetentionSet | None, most: int) -> RetentionPreview:
        """What a sweep clears now of an owner and a kind. tried: a rule in place of the one that is set."""
        async with self._database.transaction() as session:
            rules = await rules_of(session)
            if tried is not None:
                rules = [rule for rule in rules if RuleKey(rule.own, rule.owner, rule.kind) != key]
                rules.append(RetentionOut(**key._asdict(), **tried.model_dump()))
            found = await clearable(session, rules)
        mine = [each for each in found if key.owner in (None, each.owner) and key.kind in (None, each.kind)]
        return summary(mine, most)


async def rules_of(session: AsyncSession) -> list[RetentionOut]:
    """All rules, the admins' first."""
    order = RetentionRule.own, RetentionRule.owner, RetentionRule.kind
    return [_out(rule) for rule in await session.scalars(select(RetentionRule).order_by(*order))]


def _out(rule: RetentionRule) -> RetentionOut:
    fields = {name: getattr(rule, name) for name in RetentionSet.model_fields}
    kind = JobKind(rule.kind) if rule.kind else None
    return RetentionOut(own=rule.own, owner=rule.owner or None, kind=kind, **fields)
