"""Sends server-sent events as prepared bytes, with one task per subscriber.

FastAPI's own response takes several tasks and one serialisation per event and subscriber, which with a thousand
subscribers costs seconds of CPU per event (docs/reliability.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final
from uuid import UUID

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.events.hub import EventHub
from api.events.subscription import Subscription
from api.http.connections import connection_of

_log = structlog.get_logger(__name__)
HEARTBEAT: Final = b": ping\n\n"
STREAM_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "events",
        "content": {
            "text/event-stream": {
                "itemSchema": {
                    "type": "object",
                    "required": ["data"],
                    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
                }
            }
        },
    }
}
Contents = Callable[[Subscription], AsyncGenerator[bytes, None]]


class EventStream(Response):
    """A response that lasts until its contents end or its subscriber stalls or loses access."""

    media_type = "text/event-stream"

    def __init__(self, hub: EventHub, contents: Contents, *job_ids: UUID, all_jobs: bool = False) -> None:
        """contents: starts once the jobs are followed. all_jobs: also report changes of other jobs."""
        self._hub, self._contents, self._job_ids, self._all_jobs = hub, contents, job_ids, all_jobs
        # X-Accel-Buffering keeps nginx from buffering events.
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the stream ends.

        A separate task sends, since every event would otherwise pass through the middleware's dozen nested calls. This
        task waits for a disconnect, which Starlette also reports when the response is complete.
        """
        connection = connection_of(scope)
        cut = _nothing if connection is None else connection.cut
        async with self._hub.subscribe(*self._job_ids, all_jobs=self._all_jobs, cut=cut) as subscription:
            if connection is not None:
                connection.when_stopping(subscription.finish)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            sending = asyncio.create_task(self._send(subscription, send))
            try:
                while (await receive())["type"] != "http.disconnect":
                    pass
                subscription.finish()
                await sending
            finally:
                sending.cancel()

    async def _send(self, subscription: Subscription, send: Send) -> None:
        try:
            async with aclosing(self._contents(subscription)) as contents:
                async for content in contents:
                    subscription.sending(now=True)
                    await send({"type": "http.response.body", "body": content, "more_body": True})
                    subscription.sending(now=False)
        except Exception as error:  # too slow, or the database is unreachable: the client reconnects with its last id
            if not subscription.in_order:
                jobs = [str(job_id) for job_id in self._job_ids]
                _log.info("stream_cut", jobs=jobs, cause=f"{type(error).__name__}: {error}"[:200])
                subscription.close()
        # A no-op on an aborted connection; any other needs a final part for a valid response.
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _nothing() -> None:
    """Another server's connections cannot be aborted."""
