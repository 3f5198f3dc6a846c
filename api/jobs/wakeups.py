"""Sends wake-ups to workers through Celery. A lost one only delays a job by seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from celery import Celery
from redis.asyncio import Redis

from api.schemas.worker import wakeup_queue

TASK = "dartboard.wake"


class Wakeups:
    """Sends empty messages to the queue of workers with given pools and GPUs."""

    def __init__(self, broker_url: str) -> None:
        self._celery = Celery("dartboard", broker=broker_url)
        self._celery.conf.update(
            task_ignore_result=True,
            broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 2},
        )
        self._redis = Redis.from_url(broker_url, socket_connect_timeout=2, socket_timeout=2)

    async def send(self, pools: Iterable[str], gpus: int) -> None:
        """Wake one worker. Raises the errors of the broker's driver."""
        queue = wakeup_queue(pools, gpus)
        await asyncio.to_thread(self._celery.send_task, TASK, queue=queue, expires=60, retry=False, ignore_result=True)

    async def waiting(self, pools: Iterable[str], gpus: int) -> int:
        """The number of wake-ups that no worker has received."""
        return int(await self._redis.llen(wakeup_queue(pools, gpus)))

    async def ping(self) -> None:
        """Raise the driver's error if the broker is unreachable."""
        await self._redis.ping()

    async def close(self) -> None:
        """Close the connections to the broker."""
        await self._redis.aclose()
        await asyncio.to_thread(self._celery.close)
