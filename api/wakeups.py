"""Wake-ups for the workers, through Celery. Losing one delays a job by seconds, nothing more."""

from __future__ import annotations

import asyncio

from celery import Celery
from redis.asyncio import Redis

TASK = "dartboard.wake"


def queue_of(pool: str) -> str:
    """The broker's queue that a pool's workers listen on."""
    return f"dartboard.{pool}"


class Wakeups:
    """Sends messages that name a pool and say nothing else."""

    def __init__(self, broker_url: str) -> None:
        self._celery = Celery("dartboard", broker=broker_url)
        self._celery.conf.update(
            task_ignore_result=True,
            broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 2},
        )
        self._redis = Redis.from_url(broker_url, socket_connect_timeout=2, socket_timeout=2)

    async def send(self, pool: str) -> None:
        """Wake one worker of the pool. Raises what the broker's driver raises."""
        await asyncio.to_thread(
            self._celery.send_task, TASK, queue=queue_of(pool), expires=60, retry=False, ignore_result=True
        )

    async def waiting(self, pool: str) -> int:
        """Wake-ups that no worker has taken yet."""
        return int(await self._redis.llen(queue_of(pool)))

    async def ping(self) -> None:
        """Raises when the broker cannot be reached."""
        await self._redis.ping()

    async def close(self) -> None:
        """Let go of the broker."""
        await self._redis.aclose()
        await asyncio.to_thread(self._celery.close)
