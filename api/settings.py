"""Reads the API's settings from environment variables and files. Secrets have no defaults."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.auth.provider_settings import ProviderSettings
from api.http.request_timeouts import ArrivalLimits
from api.schemas.jobs import URGENT
from api.schemas.keys import KeyLimits, Role
from api.schemas.secret import SecretUrl, StrongSecret
from api.webhooks.mail import MailSettings
from darts_core.validation import field_errors


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('give the groups of each role as JSON, as in {"admin": ["lab-admins"]}') from None


class Settings(BaseSettings):
    """Settings, read once at start. Times are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix="DARTBOARD_",
        populate_by_name=True,
        extra="ignore",
        hide_input_in_errors=True,
        # A folder of files, each named like the environment variable that it replaces.
        secrets_dir=os.environ.get("DARTBOARD_SECRETS"),
    )

    database_url: SecretUrl = Field(
        SecretStr("postgresql+psycopg://dartboard@127.0.0.1:5432/dartboard"), validation_alias="DATABASE_URL"
    )
    redis_url: SecretUrl = Field(SecretStr("redis://127.0.0.1:6379/0"), validation_alias="REDIS_URL")
    artifacts: Path = Path(".dartboard/artifacts")
    # Overrides `artifacts`: s3://bucket/prefix or file:///folder.
    artifacts_url: str | None = Field(None, validation_alias="ARTIFACTS_URL")
    # The folder below which a new data set's `path` lies; the workers' data root if they share the machine.
    data_root: Path = Path(".dartboard/datasets")
    worker_key: StrongSecret | None = None
    # Encrypts webhooks (api/webhooks/sealing.py); without it there are none.
    webhook_key: StrongSecret | None = None
    # Hosts, with commas between them, that webhooks may reach at private addresses.
    webhook_hosts: str = ""
    # The pause after a first failed try, which grows fourfold from try to try.
    webhook_retry_seconds: float = Field(5.0, gt=0)
    # The server that sends e-mail, smtp://[user:password@]host[:port] or smtps://..., and the sender's address.
    smtp_url: SecretUrl | None = None
    smtp_from: str = ""
    # The domains, with commas between them, to which mail may go; any without them.
    smtp_domains: str = ""
    # A service beyond loopback always requires keys; set this on loopback behind a proxy.
    require_keys: bool = False
    session_seconds: float = Field(12 * 3600.0, gt=0)
    # The identity provider where people log in besides keys (docs/oidc.md), and this service's URL for browsers.
    oidc_issuer: str | None = None
    oidc_client_id: str = ""
    oidc_client_secret: StrongSecret | None = None
    oidc_name: str = ""
    oidc_scopes: str = "openid profile"
    oidc_groups_claim: str = "groups"
    oidc_roles: Annotated[dict[Role, list[str]], NoDecode, BeforeValidator(_json)] = {}
    oidc_default_role: Role | None = None
    public_url: str = ""
    # The keys of a person of the provider rest after so many days without a login.
    oidc_key_days: float = Field(30.0, gt=0)
    # Retention of audit entries; 0 keeps them forever.
    audit_days: int = Field(365, ge=0, le=36_500)
    # Quotas of a key without limits of its own.
    limit_queued_jobs: int = Field(1000, ge=0, lt=2**31)
    limit_upload_bytes_per_day: int = Field(200 * 2**30, ge=0, lt=2**63)
    limit_requests_per_second: float = Field(100.0, gt=0)
    limit_dataset_bytes: int = Field(200 * 2**30, ge=0, lt=2**63)
    limit_priority: int = Field(URGENT, ge=0, le=9)
    # Heartbeats are long polls of up to 5 s: a lease must outlast several, and a short network failure.
    lease_seconds: float = Field(20.0, gt=0)
    # The interval of checks for expired leases; small compared with a lease, since nothing else detects them.
    sweep_seconds: float = Field(4.0, gt=0)
    # The interval of repeated wake-ups while no worker claims a queued job.
    wake_seconds: float = Field(1.0, gt=0)
    # A job keeps its slot although an urgent one waits if it ends within `remaining`, or if it was preempted before and
    # its attempt has not run for `again`.
    preempt_remaining_seconds: float = Field(120.0, ge=0)
    preempt_again_seconds: float = Field(600.0, ge=0)
    # The time after which GPU-seconds count half in the order of the queue.
    share_half_life_hours: float = Field(24.0, gt=0, le=10_000)
    # A worker is shown as live until this long after its last request.
    presence_seconds: float = Field(15.0, gt=0)
    # Step events are only a view, so one per interval is enough and keeps the log small.
    step_event_seconds: float = Field(5.0, gt=0)
    # Limits of incomplete requests (api/http/request_timeouts.py).
    request_header_seconds: float = Field(20.0, gt=0)
    request_body_seconds: float = Field(60.0, gt=0)
    unfinished_requests_per_client: int = Field(1024, ge=1)
    max_upload_bytes: int = Field(20 * 2**30, gt=0)
    dataset_max_unpacked_bytes: int = Field(64 * 2**30, gt=0)
    dataset_max_entries: int = Field(2_000_000, gt=0)
    dataset_check_seconds: float = Field(3600.0, gt=0)

    @model_validator(mode="after")
    def _check_mail(self) -> Self:
        try:
            _ = self.mail
        except ValueError as error:
            raise ValueError(f"DARTBOARD_SMTP_URL, DARTBOARD_SMTP_FROM: {error}") from None
        return self

    @model_validator(mode="after")
    def _check_provider(self) -> Self:
        _ = self.identity_provider
        return self

    @property
    def identity_provider(self) -> ProviderSettings | None:
        """None if people log in with keys alone."""
        if not self.oidc_issuer:
            return None
        secret = self.oidc_client_secret
        return ProviderSettings(
            self.oidc_issuer,
            self.oidc_client_id,
            self.public_url,
            client_secret=secret.get_secret_value() if secret else None,
            name=self.oidc_name,
            scopes=self.oidc_scopes,
            groups_claim=self.oidc_groups_claim,
            roles=self.oidc_roles,
            default_role=self.oidc_default_role,
        )

    @property
    def mail(self) -> MailSettings | None:
        """None if no mail is sent."""
        if self.smtp_url is None:
            return None
        domains = frozenset(name for each in self.smtp_domains.split(",") if (name := each.strip().lower()))
        return MailSettings(self.smtp_url.get_secret_value(), self.smtp_from, domains)

    @property
    def arrival_limits(self) -> ArrivalLimits:
        """The limits of incomplete requests."""
        return ArrivalLimits(
            header_seconds=self.request_header_seconds,
            body_seconds=self.request_body_seconds,
            per_client=self.unfinished_requests_per_client,
        )

    @property
    def key_limits(self) -> KeyLimits:
        """The quotas of a key without limits of its own."""
        return KeyLimits(
            queued_jobs=self.limit_queued_jobs,
            upload_bytes_per_day=self.limit_upload_bytes_per_day,
            requests_per_second=self.limit_requests_per_second,
            dataset_bytes=self.limit_dataset_bytes,
            priority=self.limit_priority,
        )


class SettingsError(Exception):
    """Settings with which the service cannot start. The message names each variable and contains no secret."""


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The process's settings. Raises SettingsError."""
    try:
        return Settings()
    except ValidationError as error:
        problems = field_errors(error.errors(include_input=False))  # an input may be a secret
        raise SettingsError("\n".join(f"{_variable(e.loc)}{e.msg}" for e in problems)) from None


def _variable(loc: tuple[int | str, ...]) -> str:
    """The environment variable of a setting, before its message; some settings are known by that name only.

    Messages about several settings name them themselves.
    """
    if not loc:
        return ""
    name = str(loc[0])
    return f"{name}: " if name.isupper() else f"DARTBOARD_{name.upper()}: "
