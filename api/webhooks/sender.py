"""Sends queued messages until their receivers have taken them. Safe to run in every API process."""

from __future__ import annotations

import asyncio
import os
import smtplib
import ssl
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import certifi
import httpcore
import structlog
from sqlalchemy import delete, exists, func, select, update

from api.background_tasks import Passed
from api.db.engine import Database
from api.db.models import Delivery, Job, Webhook
from api.metrics.counters import WEBHOOK_TRIES
from api.schemas.webhooks import DeliveryState
from api.webhooks.addresses import Addresses, CheckedBackend, RefusedAddressError
from api.webhooks.mail import PREFIX, Mailer, recipient
from api.webhooks.sealing import Sealer, UnsealableError
from api.webhooks.signing import headers_of
from api.webhooks.urls import authority_of, parse, target_of

_PAUSE_SECONDS: Final = 1.0
_BATCH: Final = 20
_MOST_TRIES: Final = 10
_GROWTH: Final = 4
_TRY_SECONDS: Final = 20.0
# A try whose process died is repeated after this; longer than a try takes.
_TRY_LEASE: Final = timedelta(seconds=30)
# Between two looks for messages that a clock set back has left in the future.
_LATE_SECONDS: Final = 10.0
_KEPT: Final = timedelta(days=30)
_CLEAR_SECONDS: Final = 3600.0
_GONE: Final = 410
_TIMEOUTS: Final = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), _TRY_SECONDS / 2)}
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Message:
    id: UUID
    webhook_id: UUID
    sealed: bytes
    body: bytes
    tries: int


@dataclass(frozen=True)
class _Answer:
    """status: None if there was no answer."""

    status: int | None
    error: str | None


class Sender:
    """Tries a message at once and up to nine times more, over a day and a half. Redirects are not followed."""

    def __init__(
        self,
        database: Database,
        addresses: Addresses,
        sealer: Sealer | None,
        mailer: Mailer | None = None,
        *,
        retry_seconds: float,
    ) -> None:
        self._database, self._addresses, self._sealer, self._mailer = database, addresses, sealer, mailer
        self._retry = timedelta(seconds=retry_seconds)
        self._cleared = self._looked = 0.0

    async def run(self, passed: Passed) -> None:
        """Send what is due, every second, until cancelled."""
        backend = CheckedBackend(self._addresses)
        context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())
        async with httpcore.AsyncConnectionPool(
            context, max_connections=_BATCH, max_keepalive_connections=0, network_backend=backend
        ) as pool:
            while True:
                if time.monotonic() - self._looked > _LATE_SECONDS:
                    await self._hasten()
                due = await self._claim()
                await asyncio.gather(*(self._deliver(pool, message) for message in due))
                if time.monotonic() - self._cleared > _CLEAR_SECONDS:
                    await self.clear()
                passed()
                if len(due) < _BATCH:
                    await asyncio.sleep(_PAUSE_SECONDS)

    async def _hasten(self) -> None:
        """Make messages due whose next try is later than it can be, as after the database's clock was set back."""
        pause = self._retry * func.power(_GROWTH, func.greatest(Delivery.tries, 1) - 1)
        late = (Delivery.state == DeliveryState.PENDING) & (
            Delivery.next_at > func.now() + func.greatest(pause, _TRY_LEASE)
        )
        async with self._database.transaction() as session:
            await session.execute(update(Delivery).where(late).values(next_at=func.now()))
        self._looked = time.monotonic()

    async def _claim(self) -> list[_Message]:
        """Take the due messages, for a lease: no other process tries them meanwhile."""
        due = (
            select(Delivery.id)
            .where(Delivery.state == DeliveryState.PENDING, Delivery.next_at <= func.now())
            .order_by(Delivery.next_at)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        )
        taken = (
            update(Delivery)
            .where(Delivery.id.in_(due.scalar_subquery()), Webhook.id == Delivery.webhook_id)
            .values(tries=Delivery.tries + 1, next_at=func.now() + _TRY_LEASE)
            .returning(Delivery.id, Delivery.webhook_id, Webhook.sealed, Delivery.body, Delivery.tries)
            .execution_options(synchronize_session=False)
        )
        async with self._database.transaction() as session:
            rows = await session.execute(taken)
            return [_Message(id_, hook, sealed, body.encode(), tries) for id_, hook, sealed, body, tries in rows]

    async def _deliver(self, pool: httpcore.AsyncConnectionPool, message: _Message) -> None:
        answer = await self._post(pool, message)
        delivered = answer.status is not None and 200 <= answer.status < 300
        over = answer.status == _GONE or message.tries >= _MOST_TRIES
        values: dict[str, Any] = {"status": answer.status, "error": answer.error, "next_at": None}
        if delivered:
            values |= {"state": DeliveryState.DELIVERED, "delivered_at": func.now()}
        elif over:
            values |= {"state": DeliveryState.FAILED}
        else:
            values |= {"next_at": func.now() + self._retry * _GROWTH ** (message.tries - 1)}
        async with self._database.transaction() as session:
            # Unless it was asked for again meanwhile.
            mine = (Delivery.id == message.id) & (Delivery.tries == message.tries)
            await session.execute(update(Delivery).where(mine).values(values))
            if answer.status == _GONE:
                gone = "its receiver has answered that it is gone (410); `retry` a delivery to send to it again"
                await session.execute(update(Webhook).where(Webhook.id == message.webhook_id).values(disabled=gone))
        outcome = "delivered" if delivered else "failed" if over else "again"
        WEBHOOK_TRIES.labels(outcome).inc()
        if not delivered:
            _log.warning(
                "webhook_not_delivered",
                delivery=str(message.id),
                status=answer.status,
                error=answer.error,
                outcome=outcome,
            )

    async def _post(self, pool: httpcore.AsyncConnectionPool, message: _Message) -> _Answer:
        """The status of the answer, whose body is not read: it may be endless, or not for its owner's eyes."""
        try:
            if self._sealer is None:
                raise UnsealableError("the service has no DARTBOARD_WEBHOOK_KEY any more")
            sealed = self._sealer.unseal(message.sealed)
            if sealed.url.startswith(PREFIX):
                return await self._mail(sealed.url, message)
            url = parse(sealed.url)
            signature = headers_of(sealed.secret, str(message.id), int(time.time()), message.body)
            headers = {
                "Host": authority_of(url),
                "Content-Type": "application/json",
                "Content-Length": str(len(message.body)),
                "User-Agent": "Dartboard",
                **signature,
            }
            async with (
                asyncio.timeout(_TRY_SECONDS),
                pool.stream(
                    "POST", target_of(url), headers=list(headers.items()), content=message.body, extensions=_TIMEOUTS
                ) as response,
            ):
                status = response.status
        except (TimeoutError, httpcore.TimeoutException):
            return _Answer(None, f"no answer within {_TRY_SECONDS:.0f} s")
        except (RefusedAddressError, UnsealableError) as error:
            return _Answer(None, str(error)[:500])
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            return _Answer(None, f"{type(error).__name__}: {error}"[:500])
        return _Answer(status, None if 200 <= status < 300 else f"it answered {status}")

    async def _mail(self, url: str, message: _Message) -> _Answer:
        if self._mailer is None:
            return _Answer(None, "the service sends no e-mail any more: DARTBOARD_SMTP_URL is not set")
        to = recipient(url).addr_spec
        try:
            code = await asyncio.to_thread(self._mailer.send, str(message.id), to, message.body.decode())
        except smtplib.SMTPResponseException as error:
            return _Answer(error.smtp_code, _text_of(error.smtp_error))
        except smtplib.SMTPRecipientsRefused as error:
            code, why = error.recipients[to]
            return _Answer(code, _text_of(why))
        except OSError as error:  # SMTP's other errors are of this class
            return _Answer(None, f"{type(error).__name__}: {error}"[:500])
        return _Answer(code, None)

    async def clear(self) -> None:
        """Delete messages that were settled long ago, then the webhooks of deleted jobs that have none left."""
        old = (Delivery.created_at < func.now() - _KEPT) & (Delivery.state != DeliveryState.PENDING)
        async with self._database.transaction() as session:
            await session.execute(delete(Delivery).where(old))
            job = exists().where(Job.id == Webhook.job_id)
            listed = exists().where(Delivery.webhook_id == Webhook.id)
            await session.execute(delete(Webhook).where(Webhook.job_id.is_not(None), ~job, ~listed))
        self._cleared = time.monotonic()


def _text_of(said: bytes | str) -> str:
    return (said.decode(errors="replace") if isinstance(said, bytes) else said)[:500]
