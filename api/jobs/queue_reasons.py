"""Determines why queued jobs wait, from workers, broker and preemptions. The reason is in no row and no event."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from uuid import UUID

Slot = tuple[str, int]
"""A pool and the number of GPUs of a job."""

BROKER_AWAY: Final = "the broker is unreachable: start it, or set REDIS_URL; the job runs once it is back"


class Waiting:
    """The state of workers and broker at this process's last check; empty before the first."""

    def __init__(self) -> None:
        self.broker_away = False
        self.served: Collection[Slot] | None = None
        self.urgent: Mapping[UUID, str | None] = {}

    def reason(self, job_id: UUID, pool: str, gpus: int) -> str | None:
        """Why no worker claims a queued job of this slot; None if the job only waits for its turn."""
        if self.served is not None and (pool, gpus) not in self.served:
            gpus_or_cpu = "1 GPU, or on the CPU," if gpus == 1 else f"{gpus} GPUs"
            return f"no worker with {gpus_or_cpu} serves the pool {pool}: start one, or submit to another pool"
        return BROKER_AWAY if self.broker_away else self.urgent.get(job_id)

    def also(self, row_reason: str | None, job_id: UUID, pool: str, gpus: int) -> str | None:
        """The reason in the job's row together with this one."""
        return "; ".join(filter(None, (row_reason, self.reason(job_id, pool, gpus)))) or None
