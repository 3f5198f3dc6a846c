"""An answer of server-sent events: ready bytes, handed on by one task a reader.

FastAPI's own takes several tasks and a serialisation for each event and reader; with a thousand readers that is
seconds of CPU an event (docs/reliability.md).
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
    """The answer that goes on until its contents end, or its reader may or does not read any more."""

    media_type = "text/event-stream"

    def __init__(self, hub: EventHub, contents: Contents, *job_ids: UUID, overhear: bool = False) -> None:
        """contents: begins when the jobs are followed. overhear: whether it wants to know of others, too."""
        self._hub, self._contents, self._job_ids, self._overhear = hub, contents, job_ids, overhear
        # Behind an nginx, X-Accel-Buffering keeps it from collecting events before it passes them on.
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end.

        What sends is a task of its own: this one is a dozen calls deep in the app's, and every event would go through
        all of them. This one waits for the reader to leave, or for the answer to be complete: it is told of both alike.
        """
        connection = connection_of(scope)
        cut = _nothing if connection is None else connection.cut
        async with self._hub.subscribe(*self._job_ids, overhear=self._overhear, cut=cut) as subscription:
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
        except Exception as error:  # too slow, or the database is away: the reader comes back by its last id
            if not subscription.in_order:
                jobs = [str(job_id) for job_id in self._job_ids]
                _log.info("stream_cut", jobs=jobs, cause=f"{type(error).__name__}: {error}"[:200])
                subscription.close()
        # Nothing to a connection that is broken off; any other would be a fault without its last part.
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _nothing() -> None:
    """Another server's connections end when they do."""
