"""Stores messages in the transaction of what they tell of: none is lost with a process, none tells of a rollback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api.db.models import Delivery, Job, Webhook
from api.schemas.webhooks import EventType
from api.webhooks.bodies import body_of


async def tell(session: AsyncSession, job: Job, event: EventType, reason: str | None = None) -> None:
    """Queue the event for its owner's webhooks and those of this job. The end of a study's or a committee's child is
    told to webhooks of that child alone.
    """
    of_job = Webhook.job_id == job.id
    # Not `is not distinct from`, which no index serves.
    own = Webhook.owner.is_(None) if job.owner is None else Webhook.owner == job.owner
    of_owner = Webhook.job_id.is_(None) & own
    hidden = job.parent_id is not None and event in ("job.succeeded", "job.failed", "job.cancelled")
    wanted = of_job if hidden else or_(of_job, of_owner)
    query = select(Webhook.id, Webhook.body).where(wanted, Webhook.events.contains([event]), Webhook.disabled.is_(None))
    for webhook_id, form in await session.execute(query):
        session.add(
            Delivery(
                id=uuid7(), webhook_id=webhook_id, type=event, job_id=job.id, body=body_of(form, event, job, reason)
            )
        )


async def tell_owner(
    session: AsyncSession, owner: str | None, event: EventType, about: Mapping[str, Any], reason: str
) -> None:
    """Queue an event that concerns no single job for the owner's webhooks. about: its data besides the reason."""
    own = (Webhook.owner == owner) & Webhook.job_id.is_(None)
    query = select(Webhook.id, Webhook.body).where(own, Webhook.events.contains([event]), Webhook.disabled.is_(None))
    for webhook_id, form in await session.execute(query):
        body = body_of(form, event, None, reason, about)
        session.add(Delivery(id=uuid7(), webhook_id=webhook_id, type=event, body=body))
