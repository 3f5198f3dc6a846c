"""`python -m api`: serve."""

from __future__ import annotations

import argparse
import sys

import uvicorn

from api.logs import configure
from api.security import is_loopback


def main() -> int:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m api", description="The Dartboard API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    if not is_loopback(arguments.host):
        print(
            f"refusing to listen on {arguments.host}: this version has no user keys, so it serves loopback only "
            "(--host 127.0.0.1); reach it from elsewhere through an SSH tunnel",
            file=sys.stderr,
        )
        return 2
    configure()
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=arguments.host,
        port=arguments.port,
        log_level="warning",
        # Open event streams must not hold up a stop: their readers come back by the last id.
        timeout_graceful_shutdown=2,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
