"""Renders epochs as CSV for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from api.schemas.jobs import EpochOut
from api.schemas.spreadsheet import field


def epochs_csv(epochs: Sequence[EpochOut]) -> str:
    """One row per epoch: `epoch`, `attempt`, `seconds`, then every metric by name; empty if an epoch lacks the
    metric.
    """
    metrics = sorted({name for epoch in epochs for name in epoch.metrics})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["epoch", "attempt", "seconds", *map(field, metrics)])
    for epoch in epochs:
        writer.writerow([epoch.epoch, epoch.attempt, epoch.seconds, *(epoch.metrics.get(name, "") for name in metrics)])
    return out.getvalue()
