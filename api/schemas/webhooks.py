"""Defines the schemas of webhooks and their deliveries."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.jobs import Line

EventType = Literal[
    "job.succeeded",
    "job.failed",
    "job.cancelled",
    "job.stopped_early",
    "job.worker_lost",
    "job.disk_full",
    "budget.warned",
    "budget.exhausted",
    "schedule.refused",
]
BodyForm = Literal["standard", "slack"]
StoredForm = Literal["standard", "slack", "email"]


class DeliveryState(StrEnum):
    """pending: it is tried now or again. failed: all tries have failed, or the receiver has gone."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookCreate(BaseModel):
    """Where to send which events of the creator's jobs, or of one job."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(
        min_length=1,
        max_length=2_000,
        description="https:// or http://, at a public address, or mailto:name@example.org",
    )
    name: Line | None = None
    events: list[EventType] | None = Field(None, min_length=1, max_length=20, description="all of them by default")
    job: UUID | None = Field(None, description="of this job alone")
    body: BodyForm = Field("standard", description='slack: `{"text": ...}`, as Slack-compatible URLs take it')


class WebhookOut(BaseModel):
    """A webhook without its URL and secret."""

    id: UUID
    owner: str | None
    name: str | None
    host: str = Field(description="of its URL or address, which may hold a token and is not shown again")
    events: list[EventType]
    job: UUID | None
    body: StoredForm
    disabled: str | None = Field(description="why nothing is sent any more")
    created_at: datetime


class WebhookCreated(WebhookOut):
    """A new webhook with the secret of its signatures, which is shown only once."""

    secret: str


class WebhookList(BaseModel):
    """The caller's webhooks, everybody's for admins, newest first."""

    items: list[WebhookOut]


class DeliveryOut(BaseModel):
    """One message and its tries. `id` is its `webhook-id`."""

    id: UUID
    type: str
    job: UUID | None
    state: DeliveryState
    tries: int
    status: int | None = Field(description="of the receiver's latest answer")
    error: str | None = Field(description="of the latest try")
    body: str
    created_at: datetime
    next_at: datetime | None = Field(description="of the next try")
    delivered_at: datetime | None


class DeliveryList(BaseModel):
    """One page, newest first."""

    items: list[DeliveryOut]
    next_cursor: str | None
