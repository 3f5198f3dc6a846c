"""What the API is told from outside, by environment variables and files. Secrets have no defaults."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.http.request_timeouts import ArrivalLimits
from api.schemas.keys import KeyLimits
from api.schemas.secret import SecretUrl, StrongSecret
from darts_core.validation import field_errors


class Settings(BaseSettings):
    """Read once at start. Times are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="DARTBOARD_",
        populate_by_name=True,
        extra="ignore",
        hide_input_in_errors=True,
        # What the environment does not say may lie there, as a file of the variable's name.
        secrets_dir=os.environ.get("DARTBOARD_SECRETS"),
    )

    database_url: SecretUrl = Field(
        SecretStr("postgresql+psycopg://dartboard@127.0.0.1:5432/dartboard"), validation_alias="DATABASE_URL"
    )
    redis_url: SecretUrl = Field(SecretStr("redis://127.0.0.1:6379/0"), validation_alias="REDIS_URL")
    artifacts: Path = Path(".dartboard/artifacts")
    # Elsewhere: s3://bucket/prefix, or file:///folder.
    artifacts_url: str | None = Field(None, validation_alias="ARTIFACTS_URL")
    # Where `{"path": ...}` of a new data set leads: the workers' data root, where the API shares their machine.
    data_root: Path = Path(".dartboard/datasets")
    worker_key: StrongSecret | None = None
    # A service that listens beyond loopback always requires keys; set it on loopback behind a proxy.
    require_keys: bool = False
    session_seconds: float = Field(12 * 3600.0, gt=0)
    # How long entries of the audit log are kept; 0 keeps them for ever.
    audit_days: int = Field(365, ge=0, le=36_500)
    # What a key may use that has no limits of its own.
    limit_queued_jobs: int = Field(1000, ge=0, lt=2**31)
    limit_upload_bytes_per_day: int = Field(200 * 2**30, ge=0, lt=2**63)
    limit_requests_per_second: float = Field(100.0, gt=0)
    limit_dataset_bytes: int = Field(200 * 2**30, ge=0, lt=2**63)
    # A heartbeat's answer is held for up to 5 s: a lease outlasts several of them, and a short network cut.
    lease_seconds: float = Field(20.0, gt=0)
    # How often to look for leases that ran out: small beside a lease, for nothing else is waiting for it.
    sweep_seconds: float = Field(4.0, gt=0)
    # How often to send again while a queued job's worker does not come.
    wake_seconds: float = Field(1.0, gt=0)
    # A worker is idle, not gone, as long as it showed itself within this time.
    presence_seconds: float = Field(15.0, gt=0)
    # Step events are a view, not a record: one every so often is enough, and keeps the log small.
    step_event_seconds: float = Field(5.0, gt=0)
    # A request whose header or body does not come is ended; so is one above so many of one address that have begun.
    request_header_seconds: float = Field(20.0, gt=0)
    request_body_seconds: float = Field(60.0, gt=0)
    unfinished_requests_per_client: int = Field(1024, ge=1)
    max_upload_bytes: int = Field(20 * 2**30, gt=0)
    dataset_max_unpacked_bytes: int = Field(64 * 2**30, gt=0)
    dataset_max_entries: int = Field(2_000_000, gt=0)
    dataset_check_seconds: float = Field(3600.0, gt=0)

    @property
    def arrival_limits(self) -> ArrivalLimits:
        """The limits of requests that are still to come."""
        return ArrivalLimits(
            header_seconds=self.request_header_seconds,
            body_seconds=self.request_body_seconds,
            per_client=self.unfinished_requests_per_client,
        )

    @property
    def key_limits(self) -> KeyLimits:
        """The limits of a key that has none of its own."""
        return KeyLimits(
            queued_jobs=self.limit_queued_jobs,
            upload_bytes_per_day=self.limit_upload_bytes_per_day,
            requests_per_second=self.limit_requests_per_second,
            dataset_bytes=self.limit_dataset_bytes,
        )


class SettingsError(Exception):
    """Settings that the service cannot start with. The message names each variable and holds no secret."""


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings. Raises SettingsError."""
    try:
        return Settings()
    except ValidationError as error:
        problems = field_errors(error.errors(include_input=False))  # an input may be a secret
        raise SettingsError("\n".join(f"{_variable(e.loc)}: {e.msg}" for e in problems)) from None


def _variable(loc: tuple[int | str, ...]) -> str:
    """The environment's name of a setting; some are known by that name only."""
    name = str(loc[0])
    return name if name.isupper() else f"DARTBOARD_{name}".upper()
