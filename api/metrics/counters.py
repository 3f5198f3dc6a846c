"""Defines the metrics that this process counts; docs/operations.md documents each."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

HTTP_SECONDS: Final = Histogram(
    "dartboard_http_request_seconds",
    "Time from a request's arrival to the start of its response.",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
EPOCH_SECONDS: Final = Histogram(
    "dartboard_epoch_seconds",
    "Duration of stored epochs, as reported by their workers.",
    ["kind"],
    buckets=(0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200),
    registry=REGISTRY,
)
REPORT_LAG: Final = Histogram(
    "dartboard_report_lag_seconds",
    "Delay between the end of an epoch on its worker and its storage.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
    registry=REGISTRY,
)
LEASES_EXPIRED: Final = Counter(
    "dartboard_lease_expiries",
    "Attempts whose lease expired without a heartbeat.",
    ["pool"],
    registry=REGISTRY,
)
PREEMPTIONS: Final = Counter(
    "dartboard_preemptions",
    "Running jobs that were asked to make room for an urgent one.",
    ["pool"],
    registry=REGISTRY,
)
WEBHOOK_TRIES: Final = Counter(
    "dartboard_webhook_tries",
    "Tries to deliver a message to a webhook, by outcome.",
    ["outcome"],
    registry=REGISTRY,
)
CLOCK_STEPS: Final = Counter(
    "dartboard_database_clock_steps",
    "Steps of the database's clock, forward or back, that this process observed.",
    registry=REGISTRY,
)
BACKGROUND_FAILURES: Final = Counter(
    "dartboard_background_failures",
    "Failures of background tasks; each is restarted.",
    ["task"],
    registry=REGISTRY,
)
BACKGROUND_UP: Final = Gauge(
    "dartboard_background_up",
    "0 for a background task that has failed at least three times in a row.",
    ["task"],
    registry=REGISTRY,
)
RATE_LIMITED: Final = Counter(
    "dartboard_rate_limited",
    "Responses with 429, by the quota of the key that was exceeded.",
    ["limit"],
    registry=REGISTRY,
)
for _limit in ("requests", "upload", "queue"):
    RATE_LIMITED.labels(_limit)  # exported from the start, since a counter that first appears with a value has no rate
