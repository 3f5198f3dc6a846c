"""`python -m api`: serve."""

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
        if problem := asyncio.run(_why_not_beyond_loopback(settings)):
            print(f"refusing to listen on {arguments.host}: {problem}", file=sys.stderr)
            return 2
    allow_many()
    app = create_app(settings)
    _look_for_garbage_seldom()
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        http=with_limits(settings.arrival_limits),
        log_config=None,  # its lines come out like ours
        log_level="warning",
        access_log=False,
        # Open event streams must not hold up a stop: their readers come back by the last id.
        timeout_graceful_shutdown=2,
    )
    return 0


def _look_for_garbage_seldom() -> None:
    """Looking through everything stops all streams for 0.2 s: what is there now stays out of it, the rest waits longer.

    Little here is in cycles; most of that is young, and found without looking through everything.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 100)


async def _why_not_beyond_loopback(settings: Settings) -> str | None:
    """None when there is a key to get in with."""
    database = Database(settings.database_url.get_secret_value())
    try:
        if await KeyService(database).has_admin():
            return None
    except SQLAlchemyError as error:
        return (
            f"the database cannot tell whether there are keys ({type(error).__name__}); check DATABASE_URL, "
            "run `python -m api.migrate`, then `python -m api.keys create --role admin`"
        )
    finally:
        await database.close()
    return (
        "there is no admin's key, so either every client or none would get in; make one with "
        "`python -m api.keys create --role admin`, or serve loopback only (--host 127.0.0.1)"
    )


if __name__ == "__main__":
    run_program(main)
