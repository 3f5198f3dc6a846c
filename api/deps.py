"""Defines the dependencies of routes: services created once at start and kept on the app's state."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Header, Request

from api.advice.adviser import Adviser
from api.artifacts import Artifacts
from api.auth.audit import AuditLog
from api.auth.identities import Identities
from api.auth.principal import LOCAL, Principal, current
from api.auth.service import KeyService
from api.auth.sessions import SessionService
from api.background_tasks import Background
from api.budgets.service import BudgetService
from api.checkpoints.uploads import UploadService
from api.compare.load import Gatherer
from api.dashboard.assets import Assets
from api.datasets.service import DatasetService
from api.db.engine import Database
from api.events.hub import EventHub
from api.genotypes.registry import GenotypeRegistry
from api.http.downloads import DownloadService
from api.http.problems import ProblemError
from api.jobs.attempt_files import AttemptFiles
from api.jobs.attempts import AttemptService
from api.jobs.claims import ClaimService
from api.jobs.heartbeats import HeartbeatService
from api.jobs.queries import Reader
from api.jobs.service import JobService
from api.jobs.wakeups import Wakeups
from api.jobs.workers import WorkerService
from api.kinds import References
from api.metrics.scrape import Scraper
from api.models.registry import ModelRegistry
from api.retention.rules import RetentionService
from api.retention.sweep import RetentionSweeper
from api.schedules.service import ScheduleService
from api.settings import Settings
from api.webhooks.service import WebhookService


def _service(name: str) -> Any:
    # Asynchronous, since FastAPI would run a plain function in a thread for every request.
    async def get(request: Request) -> Any:
        return getattr(request.app.state, name)

    getter: Callable[[Request], Awaitable[Any]] = get
    return Depends(getter)


async def _attempt_token(x_attempt_token: Annotated[str | None, Header(max_length=200)] = None) -> str:
    if not x_attempt_token:
        raise ProblemError(401, "send the attempt's token as `X-Attempt-Token`")
    return x_attempt_token


async def _caller() -> Principal:
    return current() or LOCAL


Jobs = Annotated[JobService, _service("jobs")]
Named = Annotated[References, _service("references")]
Reading = Annotated[Reader, _service("reader")]
Claims = Annotated[ClaimService, _service("claims")]
Heartbeats = Annotated[HeartbeatService, _service("heartbeats")]
Attempts = Annotated[AttemptService, _service("attempts")]
Files = Annotated[AttemptFiles, _service("attempt_files")]
Advising = Annotated[Adviser, _service("advising")]
Comparing = Annotated[Gatherer, _service("comparing")]
Uploads = Annotated[UploadService, _service("uploads")]
Budgets = Annotated[BudgetService, _service("budgets")]
Retaining = Annotated[RetentionService, _service("retaining")]
Sweeping = Annotated[RetentionSweeper, _service("sweeping")]
Hooks = Annotated[WebhookService, _service("webhooks")]
Schedules = Annotated[ScheduleService, _service("schedules")]
Workers = Annotated[WorkerService, _service("workers")]
Datasets = Annotated[DatasetService, _service("datasets")]
Models = Annotated[ModelRegistry, _service("models")]
Genotypes = Annotated[GenotypeRegistry, _service("genotypes")]
Hub = Annotated[EventHub, _service("hub")]
Db = Annotated[Database, _service("database")]
BackgroundTasks = Annotated[Background, _service("background")]
Broker = Annotated[Wakeups, _service("wakeups")]
Store = Annotated[Artifacts, _service("artifacts")]
Keys = Annotated[KeyService, _service("keys")]
People = Annotated[Identities, _service("identities")]
Sessions = Annotated[SessionService, _service("sessions")]
Metrics = Annotated[Scraper, _service("metrics")]
Audit = Annotated[AuditLog, _service("audit")]
DashboardFiles = Annotated[Assets, _service("assets")]
Downloads = Annotated[DownloadService, _service("downloads")]
WorkerDownloads = Annotated[DownloadService, _service("worker_downloads")]
Config = Annotated[Settings, _service("settings")]
Caller = Annotated[Principal, Depends(_caller)]
AttemptToken = Annotated[str, Depends(_attempt_token)]
