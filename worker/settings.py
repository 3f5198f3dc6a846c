"""Reads the worker's settings from environment variables and files."""

from __future__ import annotations

import os
import socket
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.schemas.secret import SecretUrl, StrongSecret
from api.schemas.worker import Pools


class WorkerSettings(BaseSettings):
    """A worker needs the addresses of broker and API and the worker key. Times are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="DARTBOARD_",
        populate_by_name=True,
        extra="ignore",
        hide_input_in_errors=True,
        # A folder with a file for each variable that the environment does not set.
        secrets_dir=os.environ.get("DARTBOARD_SECRETS"),
    )

    redis_url: SecretUrl = Field(SecretStr("redis://127.0.0.1:6379/0"), validation_alias="REDIS_URL")
    url: str = "http://127.0.0.1:8000"
    worker_key: StrongSecret
    worker_name: str = Field(default_factory=socket.gethostname, max_length=200)
    # Files of the running attempt: one directory for each worker process, never shared.
    worker_state: Path = Path(".dartboard/worker")
    data_root: Path = Path(".dartboard/datasets")
    # Copies of uploaded data sets are cleared after so many days without use, and above so many bytes in all.
    dataset_copy_days: float | None = Field(None, ge=0, le=36_500, allow_inf_nan=False)
    dataset_copy_bytes: int | None = Field(None, ge=0, lt=2**63)
    # Separated by commas.
    pools: Annotated[Pools, NoDecode] = Field(
        ["default"], validation_alias=AliasChoices("DARTBOARD_POOLS", "DARTBOARD_POOL")
    )
    gpus: int = Field(1, ge=1, le=64)
    # How long the API may hold its answer to a heartbeat; it answers a cancel at once.
    heartbeat_seconds: float = Field(5.0, gt=0, le=60)
    # Between two heartbeats that are answered at once.
    heartbeat_pause_seconds: float = Field(1.0, gt=0)
    drain_look_seconds: float = Field(1.0, gt=0)
    presence_seconds: float = Field(5.0, gt=0)
    # How long a step may take to finish after a cancel.
    stop_grace_seconds: float = Field(0.7, gt=0)
    # How long a draining worker keeps trying to deliver its reports.
    drain_seconds: float = Field(20.0, gt=0)

    # Where /metrics of this host's workers is served; it is off without both, and with port 0.
    metrics_port: int | None = Field(None, ge=0, le=65535)
    metrics_host: str | None = None

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port, each by default where only the other is given."""
        if self.metrics_port == 0 or (self.metrics_port is None and self.metrics_host is None):
            return None
        return self.metrics_host or "127.0.0.1", self.metrics_port or 9101

    @field_validator("pools", mode="before")
    @classmethod
    def _separate(cls, pools: Any) -> Any:
        return [pool.strip() for pool in pools.split(",")] if isinstance(pools, str) else pools

    @property
    def drain_flag(self) -> Path:
        """The file by which the main process tells its child to drain."""
        return self.worker_state / "drain"


@lru_cache(maxsize=1)
def get_settings() -> WorkerSettings:
    """The process's settings."""
    return WorkerSettings()
