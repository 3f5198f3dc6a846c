"""Checks the ownership of the job, checkpoint, data set, genotype, model, schedule, webhook or key in a path."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Select, select, union_all

from api.auth.permissions import Member, holds_jobs
from api.auth.principal import Principal
from api.db.engine import Database
from api.db.models import Checkpoint, Dataset, Job, Key, RegisteredGenotype, RegisteredModel, Schedule, Upload, Webhook
from api.http.problems import ProblemError
from api.schemas.keys import Role

_ID = TypeAdapter(UUID)


async def check_owner(database: Database, principal: Principal, member: Member) -> None:
    """Raises ProblemError 403 for a member of another owner. A missing member passes: the route responds 404."""
    if principal.role is Role.ADMIN:
        return
    query = _query(member)
    if query is None:
        return
    async with database.single_statements() as session:
        found = (await session.execute(query)).one_or_none()
    if found is not None and found[0] != principal.owner:
        whose = f"belongs to {found[0]}" if found[0] else "was created without a key"
        raise ProblemError(403, f"this {whose}: only its owner and admins may change it")


def job_id_of(member: Member | None) -> UUID | None:
    """The id of the job that a path names, if any."""
    return _as_id(member.name) if member is not None and holds_jobs(member.collection) else None


def _query(member: Member) -> Select[Any] | None:
    """The query for a member's owner; None for a name that no route accepts."""
    if "\x00" in member.name:
        return None
    if member.collection == "datasets":
        return select(Dataset.owner).where(Dataset.name == member.name)
    if member.collection == "genotypes":
        return select(RegisteredGenotype.owner).where(RegisteredGenotype.name == member.name)
    if member.collection == "models":
        return select(RegisteredModel.owner).where(RegisteredModel.name == member.name)
    member_id = _as_id(member.name)
    if member_id is None:
        return None
    if member.collection == "checkpoints":
        of_job = select(Job.owner).join(Checkpoint, Checkpoint.job_id == Job.id).where(Checkpoint.id == member_id)
        return select(union_all(select(Upload.owner).where(Upload.id == member_id), of_job).subquery().c.owner)
    if member.collection == "schedules":
        return select(Schedule.owner).where(Schedule.id == member_id)
    if member.collection == "webhooks":
        return select(Webhook.owner).where(Webhook.id == member_id)
    if member.collection == "keys":
        return select(Key.owner).where(Key.id == member_id)
    return select(Job.owner).where(Job.id == member_id)


def _as_id(text: str) -> UUID | None:
    # Parsed exactly as the routes parse ids: a difference would bypass the check.
    try:
        return _ID.validate_python(text)
    except ValidationError:
        return None
