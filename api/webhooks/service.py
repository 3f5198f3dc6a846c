"""Creates, lists and deletes webhooks, and lists and repeats their deliveries."""

from __future__ import annotations

from typing import Final, get_args
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from api.auth.principal import LOCAL, current
from api.db.engine import Database
from api.db.models import Delivery, Job, Webhook
from api.http.problems import conflict, invalid, not_found
from api.schemas.keys import Role
from api.schemas.webhooks import DeliveryState, EventType, WebhookCreate, WebhookCreated, WebhookOut
from api.webhooks.addresses import Addresses, RefusedAddressError
from api.webhooks.bodies import body_of
from api.webhooks.mail import PREFIX, Mailer, recipient
from api.webhooks.sealing import Sealed, Sealer
from api.webhooks.signing import new_secret
from api.webhooks.urls import host_of, parse, port_of

_MOST: Final = 20


class WebhookService:
    """Every method sees the caller's webhooks alone, or everybody's for an admin."""

    def __init__(self, database: Database, addresses: Addresses, sealer: Sealer | None, mailer: Mailer | None) -> None:
        self._database, self._addresses, self._sealer, self._mailer = database, addresses, sealer, mailer

    async def create(self, body: WebhookCreate) -> WebhookCreated:
        """Raises ProblemError 422 for a URL that cannot be reached from here or is private, 404 for an unknown job, 409
        without a key to encrypt it with and for too many webhooks.
        """
        if self._sealer is None:
            raise conflict("this service keeps no webhooks: an admin must set DARTBOARD_WEBHOOK_KEY")
        url, host = await self._checked(body)
        secret = new_secret()
        webhook = Webhook(
            id=uuid7(),
            name=body.name,
            host=host,
            sealed=self._sealer.seal(Sealed(url, secret)),
            events=list(body.events or get_args(EventType)),
            job_id=body.job,
            body="email" if url.startswith(PREFIX) else body.body,
        )
        async with self._database.transaction() as session:
            if body.job is not None and await session.get(Job, body.job) is None:
                raise not_found("job", body.job)
            await _check_number(session, body.job)
            session.add(webhook)
            await session.flush()
            await session.refresh(webhook)
        return WebhookCreated(**dict(webhook_out(webhook)), secret=secret)

    async def delete(self, webhook_id: UUID) -> None:
        """Delete it with its deliveries. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            await session.delete(await _get(session, webhook_id))

    async def ping(self, webhook_id: UUID) -> Delivery:
        """Queue a message that tells of nothing. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            webhook = await _get(session, webhook_id)
            text = body_of(webhook.body, "ping", None, None)
            delivery = Delivery(id=uuid7(), webhook_id=webhook.id, type="ping", job_id=None, body=text)
            session.add(delivery)
            await session.flush()
            await session.refresh(delivery)
            return delivery

    async def deliveries(self, webhook_id: UUID, *, limit: int, cursor: UUID | None) -> list[Delivery]:
        """Deliveries before the cursor, newest first. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            await _get(session, webhook_id)
            query = select(Delivery).where(Delivery.webhook_id == webhook_id).order_by(Delivery.id.desc()).limit(limit)
            return [*await session.scalars(query if cursor is None else query.where(Delivery.id < cursor))]

    async def retry(self, webhook_id: UUID, delivery_id: UUID) -> Delivery:
        """Send a message again, with as many tries as a new one. Raises ProblemError 404."""
        async with self._database.transaction() as session:
            webhook = await _get(session, webhook_id)
            delivery = await session.get(Delivery, delivery_id, with_for_update=True)
            if delivery is None or delivery.webhook_id != webhook_id:
                raise not_found("delivery", f"{delivery_id} of this webhook")
            webhook.disabled = None
            delivery.state, delivery.tries, delivery.next_at = DeliveryState.PENDING, 0, func.now()
            await session.flush()
            await session.refresh(delivery)
            return delivery

    async def list(self) -> list[Webhook]:
        """Newest first."""
        async with self._database.single_statements() as session:
            return [*await session.scalars(_own().order_by(Webhook.id.desc()))]

    async def _checked(self, body: WebhookCreate) -> tuple[str, str]:
        """The URL in one spelling, and its host."""
        try:
            if body.url.lower().startswith(PREFIX):
                return self._checked_address(body)
            url = parse(body.url)
            await self._addresses.resolve(host_of(url), port_of(url))
        except (ValueError, RefusedAddressError) as error:
            raise invalid("url", str(error)) from error
        return str(url), host_of(url)

    def _checked_address(self, body: WebhookCreate) -> tuple[str, str]:
        if self._mailer is None:
            raise conflict("this service sends no e-mail: an admin must set DARTBOARD_SMTP_URL and DARTBOARD_SMTP_FROM")
        if body.body != "standard":
            raise invalid("body", "e-mail has a form of its own: leave it out")
        address = recipient(body.url[len(PREFIX) :])
        self._mailer.check(address)
        return PREFIX + address.addr_spec, address.domain


def webhook_out(webhook: Webhook) -> WebhookOut:
    names = WebhookOut.model_fields.keys() - {"job"}
    return WebhookOut(**{name: getattr(webhook, name) for name in names}, job=webhook.job_id)


async def _check_number(session: AsyncSession, job: UUID | None) -> None:
    """Raises ProblemError 409. An advisory lock serialises the requests of one owner."""
    owner = (current() or LOCAL).owner
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"webhooks of {owner}", 0))))
    same = Webhook.owner.is_not_distinct_from(owner), Webhook.job_id.is_not_distinct_from(job)
    if (await session.scalar(select(func.count()).where(*same)) or 0) >= _MOST:
        whose = "you have" if job is None else f"job {job} has"
        raise conflict(f"{whose} {_MOST} webhooks, which is the most: delete one first")


def _own() -> Select[Webhook]:
    caller = current() or LOCAL
    query = select(Webhook)
    return query if caller.role is Role.ADMIN else query.where(Webhook.owner.is_not_distinct_from(caller.owner))


async def _get(session: AsyncSession, webhook_id: UUID) -> Webhook:
    webhook = await session.scalar(_own().where(Webhook.id == webhook_id))
    if webhook is None:
        raise not_found("webhook", webhook_id)
    return webhook
