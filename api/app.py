"""Assembles the FastAPI app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from api.advice.adviser import Adviser
from api.artifacts import StoreFullError, open_store
from api.auth.audit import AuditLog
from api.auth.identities import Identities
from api.auth.middleware import AuthMiddleware
from api.auth.retention import AuditRetention
from api.auth.service import KeyService
from api.auth.sessions import SessionService
from api.background_tasks import Background
from api.budgets.service import BudgetService
from api.checkpoints.converter import Converter
from api.checkpoints.uploads import UploadService
from api.compare.load import Gatherer
from api.composite.driver import TreeDriver
from api.dashboard.assets import Assets
from api.datasets.archive_limits import Limits
from api.datasets.check_queue import DatasetChecker
from api.datasets.service import DatasetService
from api.db.engine import Database
from api.events.hub import EventHub
from api.genotypes.registry import GenotypeRegistry
from api.http import openapi, problems
from api.http.access_log import AccessLog
from api.http.body_limit import BodyLimit
from api.http.compression import Compression
from api.http.downloads import DownloadService
from api.http.query_parameters import refuse_unknown_query
from api.http.security import CurlJson, LocalOnly
from api.jobs.attempt_files import AttemptFiles
from api.jobs.attempts import AttemptService
from api.jobs.claims import ClaimService
from api.jobs.fencing import Fence
from api.jobs.heartbeats import HeartbeatService
from api.jobs.network_costs import CostKeeper
from api.jobs.queries import Reader
from api.jobs.service import JobService
from api.jobs.sweeper import waker_and_sweeper
from api.jobs.wakeups import Wakeups
from api.jobs.workers import WorkerService
from api.kinds import KINDS, References
from api.metrics.scrape import Scraper
from api.pictures.drawer import Drawer
from api.retention.advice import store_full
from api.retention.rules import RetentionService
from api.retention.sweep import RetentionSweeper
from api.routes import (
    advice,
    budgets,
    checkpoints,
    compare,
    dashboard,
    datasets,
    ensembles,
    evaluations,
    events,
    genotypes,
    jobs,
    keys,
    lineage,
    login,
    methods,
    metrics,
    models,
    pictures,
    presets,
    queue,
    reference,
    retention,
    schedules,
    scores,
    searches,
    service,
    session,
    spaces,
    storage,
    usage,
    webhooks,
    worker,
)
from api.routes.collection import job_router
from api.schedules.scheduler import Scheduler
from api.schedules.service import ScheduleService
from api.settings import Settings, get_settings
from api.webhooks.addresses import Addresses
from api.webhooks.mail import Mailer
from api.webhooks.sealing import Sealer
from api.webhooks.sender import Sender
from api.webhooks.service import WebhookService
from darts_core.runtime.version import VERSION

if TYPE_CHECKING:
    from api.auth.identity_provider import IdentityProvider


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create an app. Settings default to those of the environment."""
    app = FastAPI(
        title="Dartboard",
        version=VERSION,
        summary="Differentiable architecture search as a service.",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        generate_unique_id_function=_operation_id,
    )
    settings = app.state.settings = settings or get_settings()
    problems.install(app)
    app.add_exception_handler(StoreFullError, store_full)
    app.add_middleware(Compression)
    app.add_middleware(CurlJson)
    app.add_middleware(BodyLimit, settings.max_upload_bytes)
    app.add_middleware(AuthMiddleware, settings)
    if not settings.require_keys:
        app.add_middleware(LocalOnly)
    app.add_middleware(AccessLog)
    kinds = [job_router(kind) for kind in KINDS.values()]
    modules = (
        searches,
        pictures,
        evaluations,
        scores,
        ensembles,
        jobs,
        compare,
        events,
        genotypes,
        checkpoints,
        datasets,
        presets,
        methods,
        spaces,
        advice,
        queue,
        usage,
        budgets,
        lineage,
        models,
        retention,
        storage,
        schedules,
        webhooks,
        service,
        metrics,
        session,
        login,
        keys,
        reference,
        dashboard,
    )
    # Routes are matched in this order: the workers' first, which get the most requests.
    for router in (worker.router, *kinds, *(module.router for module in modules)):
        # Browsers and proxies may add a query to bypass caches, so the page's files accept any. Identity providers
        # add parameters of their own.
        checks = [] if router in (dashboard.router, reference.router, login.router) else [Depends(refuse_unknown_query)]
        app.include_router(router, dependencies=checks)
    openapi.install(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Create the services, run the background tasks and close everything at the end."""
    settings: Settings = app.state.settings
    database = Database(settings.database_url.get_secret_value(), timedelta(hours=settings.share_half_life_hours))
    wakeups = Wakeups(settings.redis_url.get_secret_value())
    artifacts = open_store(settings.artifacts_url, settings.artifacts, settings.max_upload_bytes)
    artifacts.prepare()
    for_workers = artifacts.apart("workers")
    hub = EventHub(database)
    waker, sweeper = waker_and_sweeper(database, wakeups, settings)
    state = app.state
    state.database, state.wakeups, state.artifacts, state.hub = database, wakeups, artifacts, hub
    limits = Limits(unpacked_bytes=settings.dataset_max_unpacked_bytes, entries=settings.dataset_max_entries)
    checker = DatasetChecker(database, artifacts, settings.data_root, limits, settings.dataset_check_seconds)
    state.datasets = DatasetService(database, artifacts, checker, settings.data_root)
    state.reader = Reader(database)
    state.comparing = Gatherer(database, state.datasets)
    provider = settings.identity_provider
    state.assets = Assets(provider.label if provider else "")
    state.genotypes = GenotypeRegistry(database)
    state.drawer = Drawer(artifacts)
    state.uploads = UploadService(database, artifacts)
    state.references = References(database, state.reader, state.uploads, state.datasets, state.genotypes)
    state.models = state.references.models
    trees = TreeDriver(database, hub, waker, artifacts, state.references, settings.sweep_seconds)
    state.jobs = JobService(database, waker, artifacts, trees)
    scheduler = Scheduler(database, state.jobs, state.references, settings.key_limits, settings.oidc_key_days)
    state.schedules = ScheduleService(database, state.references, scheduler)
    converter = Converter(artifacts)
    state.downloads = DownloadService(artifacts, converter)
    state.worker_downloads = DownloadService(for_workers, converter)
    state.claims = ClaimService(database, for_workers, waker, settings.lease_seconds)
    state.workers = WorkerService(database, waker, settings.presence_seconds)
    state.advising = Adviser(database, state.datasets, state.workers)
    fence = Fence(database, settings.lease_seconds)
    state.heartbeats = HeartbeatService(database, fence, hub, settings.step_event_seconds)
    state.keys, state.audit = KeyService(database), AuditLog(database)
    state.sessions = SessionService(database, settings.session_seconds)
    state.identities, state.identity_provider = Identities(database), _identity_provider(settings)
    state.metrics = Scraper(database, hub, waker, artifacts, settings.presence_seconds)
    state.attempt_files = AttemptFiles(database, for_workers, fence)
    state.attempts = AttemptService(for_workers, state.attempt_files, waker, fence)
    sealer = Sealer(settings.webhook_key.get_secret_value()) if settings.webhook_key else None
    addresses = Addresses([host for each in settings.webhook_hosts.split(",") if (host := each.strip())])
    state.budgets = BudgetService(database, waker)
    mailer = Mailer(mail) if (mail := settings.mail) else None
    state.webhooks = WebhookService(database, addresses, sealer, mailer)
    sender = Sender(database, addresses, sealer, mailer, retry_seconds=settings.webhook_retry_seconds)
    audit_retention = AuditRetention(database, settings.audit_days)
    state.retaining = RetentionService(database)
    state.sweeping = RetentionSweeper(database, artifacts.apart("retention"))
    background = state.background = Background(
        {
            "event listener": hub.listen,
            "event pings": hub.tick,
            "sweeper": sweeper.run,
            "waker": waker.run,
            "data set checker": checker.run,
            "tree driver": trees.run,
            "network costs": CostKeeper(database, state.datasets).run,
            "audit retention": audit_retention.run,
            "checkpoint retention": state.sweeping.run,
            "webhook sender": sender.run,
            "scheduler": scheduler.run,
        }
    )
    background.start()
    try:
        yield
    finally:
        await background.stop()
        await wakeups.close()
        await database.close()


def _identity_provider(settings: Settings) -> IdentityProvider | None:
    if (provider := settings.identity_provider) is None:
        return None
    # authlib is imported only where it is used.
    from api.auth.identity_provider import IdentityProvider

    return IdentityProvider(provider)


def _operation_id(route: APIRoute) -> str:
    """Name operations after their functions, for readable generated clients."""
    return route.name
