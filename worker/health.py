"""Checks by their metrics that all workers of this host are up (`python -m worker.health`, a healthcheck)."""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException
from typing import Final

_UP: Final = "dartboard_worker_up{"


def main() -> int:
    """Returns 0 when all workers are up, or when metrics are off."""
    port = os.environ.get("DARTBOARD_METRICS_PORT") or "9101"
    if int(port) == 0:
        return 0
    try:
        metrics = _get(os.environ.get("DARTBOARD_METRICS_HOST") or "127.0.0.1", int(port))
    except (OSError, HTTPException) as error:
        print(f"no metrics at port {port}: {error}")
        return 1
    workers = [line for line in metrics.splitlines() if line.startswith(_UP)]
    silent = [line for line in workers if float(line.rpartition(" ")[2]) != 1]
    print("\n".join(silent or workers))
    return 0 if workers and not silent else 1


def _get(host: str, port: int) -> str:
    connection = HTTPConnection(host, port, timeout=4)
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()


if __name__ == "__main__":
    sys.exit(main())
