"""Why queued jobs wait, where that follows from what is there: it is no transition, so it is on no row and no event."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

Slot = tuple[str, int]
"""A pool, and how many GPUs a job of it wants."""

BROKER_AWAY: Final = "the broker cannot be reached: start it, or set REDIS_URL; the job runs as soon as it is back"


class Waiting:
    """What this process saw when it last looked; nothing before its first look."""

    def __init__(self) -> None:
        self.broker_away = False
        self.served: Collection[Slot] | None = None

    def reason(self, pool: str, gpus: int) -> str | None:
        """Why a queued job of that kind is not taken up, None when it only has to wait for its turn."""
        if self.served is not None and (pool, gpus) not in self.served:
            gpus_or_cpu = "1 GPU, or on the CPU," if gpus == 1 else f"{gpus} GPUs"
            return f"no worker with {gpus_or_cpu} is alive in the pool {pool}: start one, or submit to another pool"
        return BROKER_AWAY if self.broker_away else None

    def also(self, said: str | None, pool: str, gpus: int) -> str | None:
        """The row's own reason, and that."""
        return "; ".join(filter(None, (said, self.reason(pool, gpus)))) or None
