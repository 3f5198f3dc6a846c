"""Builds each child's environment and withholds variables that are not meant for it."""

import os
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from darts_core.runtime.gpu_groups import GpuGroup

_OF_THE_API = (
    "DATABASE_URL",
    "DARTBOARD_API_KEY",
    "DARTBOARD_WEBHOOK_KEY",
    "DARTBOARD_SMTP_URL",
    "DARTBOARD_OIDC_CLIENT_SECRET",
)
_LOOPBACK = "127.0.0.1,localhost,::1"


@dataclass(frozen=True)
class Surroundings:
    """Addresses of the running servers. Holds secrets: URLs with passwords."""

    base: Mapping[str, str] = field(repr=False)
    data: Path
    url: str
    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)
    worker_key: str = field(repr=False)
    webhook_key: str = field(repr=False)
    own_database: bool

    def for_api(self) -> dict[str, str]:
        """The API alone knows the database."""
        # PG* variables are meant for the user's own servers and would redirect connections to ours.
        hidden = [name for name in self.base if name.startswith("PG")] if self.own_database else []
        return {
            **self._shared(hidden),
            "DATABASE_URL": self.database_url,
            "DARTBOARD_WEBHOOK_KEY": self.base.get("DARTBOARD_WEBHOOK_KEY") or self.webhook_key,
            "DARTBOARD_ARTIFACTS": self.base.get("DARTBOARD_ARTIFACTS") or str(self.data / "artifacts"),
        }

    def for_worker(self, number: int, group: GpuGroup) -> dict[str, str]:
        """For worker `number` (from 1) on its GPUs."""
        # A worker has a key and a URL, and no access to a database, neither ours nor the user's.
        hidden = [name for name in self.base if name in _OF_THE_API or name.startswith("PG")]
        return self._shared(hidden) | {
            "DARTBOARD_URL": self.url,
            "DARTBOARD_WORKER_NAME": f"{socket.gethostname()}-{number}",
            "DARTBOARD_WORKER_STATE": str(self.data / "workers" / str(number)),
            "DARTBOARD_POOLS": self.base.get("DARTBOARD_POOLS") or self.base.get("DARTBOARD_POOL") or "default",
            **group.environment,
        }

    def _shared(self, hidden: Collection[str]) -> dict[str, str]:
        kept = {name: value for name, value in self.base.items() if name not in hidden}
        root = self.base.get("DARTBOARD_DATA_ROOT")
        past_proxies = ",".join(filter(None, (self.base.get("NO_PROXY") or self.base.get("no_proxy"), _LOOPBACK)))
        return kept | {
            "REDIS_URL": self.broker_url,
            "DARTBOARD_DATA_ROOT": str(Path(root).absolute() if root else self.data / "datasets"),
            "DARTBOARD_WORKER_KEY": self.worker_key,
            "NO_PROXY": past_proxies,
            "no_proxy": past_proxies,
            "PYTHONUNBUFFERED": "1",  # unbuffered, so that a crash loses no log line
        }


def inherited(extra: Mapping[str, str] | None) -> dict[str, str]:
    """This process's environment overridden by `extra`."""
    return {**os.environ, **(extra or {})}
