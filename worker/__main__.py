"""Runs the workers of this machine (`python -m worker`): one process for each group of GPUs."""

from __future__ import annotations

import argparse
import math
import os
import sys

from pydantic import ValidationError

from darts_core.runtime.errors import StackError
from darts_core.runtime.gpu_groups import groups_of
from darts_core.validation import field_errors
from worker.attempt_dir import lock_state
from worker.groups import Groups
from worker.kernels import kernels_compiled_beside
from worker.logs import configure
from worker.metrics import serve_metrics
from worker.serving import serve
from worker.settings import WorkerSettings, get_settings
from worker.until_idle import IdleWatch


def main() -> int:
    """Serve one group in this process, several in a child each. Returns 2 for settings that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m worker", description="A Dartboard worker.")
    parser.add_argument(
        "--pool", action="append", metavar="NAME", help="take this pool's jobs; may be repeated (DARTBOARD_POOLS)"
    )
    parser.add_argument(
        "--until-idle",
        type=minutes,
        metavar="MINUTES",
        help="end after so long without a job, as on a host of a batch system",
    )
    given = parser.parse_args()
    if given.pool:
        os.environ["DARTBOARD_POOLS"] = ",".join(given.pool)  # the child process reads it too
    try:
        configure()
        groups = groups_of(os.environ)
        if len(groups) == 1:
            os.environ.update(groups[0].environment)
            settings = get_settings()
            configure(worker=settings.worker_name)
        else:
            settings = WorkerSettings(gpus=1)  # each child reads its own number
    except ValidationError as error:
        for problem in field_errors(error.errors(include_input=False)):  # an input may be a secret
            print(f"{_variable(str(problem.loc[0]))}: {problem.msg}", file=sys.stderr)
        print("a worker needs DARTBOARD_URL, REDIS_URL and DARTBOARD_WORKER_KEY of the service", file=sys.stderr)
        return 2
    except (StackError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    settings.worker_state.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lock = lock_state(settings.worker_state)
    except BlockingIOError:
        print(
            f"another worker works in {settings.worker_state}: give each its own DARTBOARD_WORKER_STATE and "
            "DARTBOARD_WORKER_NAME",
            file=sys.stderr,
        )
        return 2
    with lock:
        several = Groups(settings, groups) if len(groups) > 1 else None
        states = several.states if several else {settings.worker_name: settings.worker_state}
        if (address := settings.metrics_address) is not None:
            try:
                serve_metrics(states, *address)
            except OSError as error:
                where = f"{address[0]}:{address[1]}"
                print(f"metrics cannot be served on {where} ({error}): set DARTBOARD_METRICS_PORT", file=sys.stderr)
                return 2
        if given.until_idle is not None:
            IdleWatch(states.values(), given.until_idle).start()
        with kernels_compiled_beside():
            if several:
                several.run()
            else:
                serve(settings)
    return 0


def minutes(text: str) -> float:
    """Raises ValueError, which argparse shows with the text."""
    number = float(text)
    if not 0 < number < math.inf:
        raise ValueError(text)
    return number


def _variable(setting: str) -> str:
    """The environment variable of a setting; a name in capitals is one already."""
    return setting if setting.isupper() else f"DARTBOARD_{setting}".upper()


if __name__ == "__main__":
    sys.exit(main())
