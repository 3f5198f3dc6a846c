"""What this process counts as it happens; docs/operations.md says what each one means."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

HTTP_SECONDS: Final = Histogram(
    "dartboard_http_request_seconds",
    "From a request's arrival to the beginning of its answer.",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
EPOCH_SECONDS: Final = Histogram(
    "dartboard_epoch_seconds",
    "How long stored epochs took, as their workers say.",
    ["kind"],
    buckets=(0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200),
    registry=REGISTRY,
)
REPORT_LAG: Final = Histogram(
    "dartboard_report_lag_seconds",
    "From the end of an epoch on its worker to its being stored.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
    registry=REGISTRY,
)
LEASES_EXPIRED: Final = Counter(
    "dartboard_lease_expiries",
    "Attempts whose worker fell silent for longer than a lease.",
    ["pool"],
    registry=REGISTRY,
)
CLOCK_STEPS: Final = Counter(
    "dartboard_database_clock_steps",
    "How often the database's clock was set forward or back while this process looked.",
    registry=REGISTRY,
)
BACKGROUND_FAILURES: Final = Counter(
    "dartboard_background_failures",
    "Failures of the background tasks, each of which was started again.",
    ["task"],
    registry=REGISTRY,
)
BACKGROUND_UP: Final = Gauge(
    "dartboard_background_up",
    "0 for a background task that has failed three times in a row or more.",
    ["task"],
    registry=REGISTRY,
)
RATE_LIMITED: Final = Counter(
    "dartboard_rate_limited",
    "Requests answered 429, by the limit of the key that was reached.",
    ["limit"],
    registry=REGISTRY,
)
for _limit in ("requests", "upload", "queue"):
    RATE_LIMITED.labels(_limit)  # there from the start: what appears only when it happens first has no rate
