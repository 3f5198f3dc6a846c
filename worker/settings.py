"""What a worker is told from outside, by environment variables."""

from __future__ import annotations

import socket
from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.schemas.jobs import PoolName


class WorkerSettings(BaseSettings):
    """A worker needs the broker's and the API's address and the worker key, nothing else. Times in seconds."""

    model_config = SettingsConfigDict(env_prefix="DARTBOARD_", populate_by_name=True, extra="ignore")

    redis_url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), validation_alias="REDIS_URL")
    url: str = "http://127.0.0.1:8000"
    worker_key: SecretStr
    worker_name: str = Field(default_factory=socket.gethostname, max_length=200)
    # Half-delivered work of the running attempt lies here: one directory a worker process, never shared.
    worker_state: Path = Path(".dartboard/worker")
    data_root: Path = Path(".dartboard/datasets")
    pool: PoolName = "default"
    gpus: int = Field(1, ge=1, le=64)
    # For how long the API may hold its answer to a heartbeat; a cancel is answered at once.
    heartbeat_seconds: float = Field(5.0, gt=0, le=60)
    # Between two heartbeats that are answered at once, because the API is away or has something to say.
    heartbeat_pause_seconds: float = Field(1.0, gt=0)
    drain_look_seconds: float = Field(1.0, gt=0)
    presence_seconds: float = Field(5.0, gt=0)
    # After a cancel the loop may finish its step; a longer one is not waited for.
    stop_grace_seconds: float = Field(0.7, gt=0)
    # How long a stopping worker keeps trying to deliver what it still holds.
    drain_seconds: float = Field(20.0, gt=0)

    @property
    def drain_flag(self) -> Path:
        """Exists while the worker is asked to stop: the main process tells its child by it."""
        return self.worker_state / "drain"


@lru_cache(maxsize=1)
def get_settings() -> WorkerSettings:
    """The process's settings."""
    return WorkerSettings()
