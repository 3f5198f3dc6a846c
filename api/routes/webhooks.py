"""Manages webhooks and shows what was sent to them."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from api.db.models import Delivery
from api.deps import Hooks
from api.http.problems import documented
from api.routes.collection import Cursor, Limit, cut
from api.schemas.webhooks import DeliveryList, DeliveryOut, WebhookCreate, WebhookCreated, WebhookList
from api.webhooks.service import webhook_out

router = APIRouter(prefix="/webhooks", tags=["webhooks"], responses=documented(422, 503))


@router.post("", status_code=201, responses=documented(404, 409))
async def create_webhook(body: WebhookCreate, hooks: Hooks, response: Response) -> WebhookCreated:
    """Send events of your jobs to a URL. Only this response contains `secret`, which signs every message.

    422 for a URL at a private address.
    """
    response.headers["Cache-Control"] = "no-store"
    return await hooks.create(body)


@router.get("")
async def list_webhooks(hooks: Hooks) -> WebhookList:
    """Your webhooks, newest first; everybody's for admins."""
    return WebhookList(items=[webhook_out(each) for each in await hooks.list()])


@router.delete("/{webhook_id}", status_code=204, responses=documented(404))
async def delete_webhook(webhook_id: UUID, hooks: Hooks) -> None:
    """Delete a webhook with its deliveries."""
    await hooks.delete(webhook_id)


@router.post("/{webhook_id}/ping", status_code=202, responses=documented(404))
async def ping_webhook(webhook_id: UUID, hooks: Hooks) -> DeliveryOut:
    """Send a message that tells of nothing, to see that it arrives."""
    return _out(await hooks.ping(webhook_id))


@router.get("/{webhook_id}/deliveries", responses=documented(404))
async def list_deliveries(webhook_id: UUID, hooks: Hooks, limit: Limit = 50, cursor: Cursor = None) -> DeliveryList:
    """What was sent in the last 30 days and what is waiting, newest first."""
    page, more = cut(await hooks.deliveries(webhook_id, limit=limit + 1, cursor=cursor), limit)
    return DeliveryList(items=[_out(each) for each in page], next_cursor=more)


@router.post("/{webhook_id}/deliveries/{delivery_id}/retry", status_code=202, responses=documented(404))
async def retry_delivery(webhook_id: UUID, delivery_id: UUID, hooks: Hooks) -> DeliveryOut:
    """Send a message again, also one that was delivered."""
    return _out(await hooks.retry(webhook_id, delivery_id))


def _out(delivery: Delivery) -> DeliveryOut:
    names = DeliveryOut.model_fields.keys() - {"job"}
    return DeliveryOut(**{name: getattr(delivery, name) for name in names}, job=delivery.job_id)
