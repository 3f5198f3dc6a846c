"""Serves the API: `python -m api`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from api.app import create_app
from api.auth.service import KeyService
from api.db.engine import Database
from api.http.connections import allow_many, with_limits
from api.http.security import is_loopback
from api.metrics.tracing import trace_ids
from api.program import run_program
from api.settings import Settings, get_settings
from darts_core.runtime.logs import configure


def main() -> int:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m api", description="The Dartboard API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    try:
        configure(trace_ids)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    settings = get_settings()
    if not is_loopback(arguments.host):
        settings = settings.model_copy(update={"require_keys": True})
        if problem := asyncio.run(_loopback_only_reason(settings)):
            print(f"refusing to listen on {arguments.host}: {problem}", file=sys.stderr)
            return 2
    allow_many()
    app = create_app(settings)
    _tune_garbage_collection()
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        http=with_limits(settings.arrival_limits),
        log_config=None,  # uvicorn's lines use the service's log format
        log_level="warning",
        access_log=False,
        # Open event streams must not delay a shutdown: clients reconnect with their last id.
        timeout_graceful_shutdown=2,
    )
    return 0


def _tune_garbage_collection() -> None:
    """Make full collections rare, since each pauses all streams for 0.2 s.

    Objects alive at start are frozen. Few objects are in cycles; most of those are young and found by partial
    collections.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 100)


async def _loopback_only_reason(settings: Settings) -> str | None:
    """Why the service must not listen beyond loopback; None if it has an admin key."""
    database = Database(settings.database_url.get_secret_value())
    try:
        if await KeyService(database).has_admin():
            return None
    except SQLAlchemyError as error:
        return (
            f"the keys in the database cannot be read ({type(error).__name__}); check DATABASE_URL, "
            "run `python -m api.migrate`, then `python -m api.keys create --role admin`"
        )
    finally:
        await database.close()
    return (
        "there is no admin key, so no client could get in; create one with "
        "`python -m api.keys create --role admin`, or serve loopback only (--host 127.0.0.1)"
    )


if __name__ == "__main__":
    run_program(main)
