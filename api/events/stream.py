"""A job's events as a stream: replay what is stored, follow what comes, end when the job has ended.

FastAPI's own server-sent events take several tasks and a serialisation for each event and reader; with a thousand
readers that is seconds of CPU an event (docs/reliability.md). Here a reader is one task that hands ready bytes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.connections import cutter_of
from api.events.frames import end_frame, frame_of
from api.events.hub import EventHub, Gone, News, Subscription
from api.models import Event, Job
from api.schemas.jobs import Status

_log = structlog.get_logger(__name__)
_HEARTBEAT: Final = b": ping\n\n"
_HEARTBEAT_SECONDS: Final = 15.0
# Whoever takes nothing for so long while something is there to be taken is not reading.
_SENDING_SECONDS: Final = 30.0
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


class EventStream(Response):
    """The answer that goes on until the job has ended, or its reader may or does not read any more."""

    media_type = "text/event-stream"

    def __init__(self, hub: EventHub, job: Job, after: int) -> None:
        self._hub, self._job, self._after = hub, job, after
        # Behind an nginx, X-Accel-Buffering keeps it from collecting events before it passes them on.
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end."""
        cut = cutter_of(scope)
        async with self._hub.subscribe(self._job.id, cut=cut) as subscription:
            last = self._after
            if last > self._job.last_sequence:
                # A sequence that does not exist yet is another job's, or a mistake: nothing may be skipped for it.
                last = min(last, await self._hub.last_sequence(self._job.id))
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})

            def left(_: object) -> None:
                subscription.close()

            reader = asyncio.create_task(_disconnected(receive))
            reader.add_done_callback(left)
            try:
                async for content in self._contents(subscription, last):
                    async with asyncio.timeout(_SENDING_SECONDS):
                        await send({"type": "http.response.body", "body": content, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            except Exception as error:  # too slow, or the database is away: the reader comes back by its last id
                if not reader.done():
                    _log.info("stream_cut", job=str(self._job.id), cause=f"{type(error).__name__}: {error}"[:200])
                    cut()
            finally:
                reader.remove_done_callback(left)
                reader.cancel()

    async def _contents(self, subscription: Subscription, last: int) -> AsyncIterator[bytes]:
        """Every event behind `last`, each once and in order, then the end when the job's life is over.

        Subscribing came before replaying: what is stored in between arrives twice and is sent once, by its sequence.
        """
        # As read together with the row's last sequence: what is told in between changes it again.
        status = Status(self._job.status)
        while stored := await self._hub.read(self._job.id, last):
            yield b"".join(map(frame_of, stored))
            last, status = stored[-1].sequence, _status_after(stored, status)
            subscription.check()
        while not status.ended:
            waiting = await subscription.all(_HEARTBEAT_SECONDS)
            if new := _newer(waiting, last):
                yield b"".join(map(frame_of, new))
                last, status = new[-1].sequence, _status_after(new, status)
            elif not waiting:
                yield _HEARTBEAT
            if any(isinstance(news, Gone) for news in waiting):
                break
        yield end_frame(last, status)


def _newer(waiting: list[News], last: int) -> list[Event]:
    return [news for news in waiting if isinstance(news, Event) and news.sequence > last]


def _status_after(events: list[Event], before: Status) -> Status:
    told = [event.data["status"] for event in events if event.kind == "status"]
    return Status(told[-1]) if told else before


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
