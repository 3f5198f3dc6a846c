"""Runs a study twice: undisturbed, and with API, worker and broker each killed once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from api.schemas.jobs import JobOut
from client.local.stack import LocalStack
from client.sdk import Dartboard

# Which process is killed when the first child of a stage starts.
KILLS: Final = {"search": "api", "short-retrain": "worker-1", "final": "valkey"}


@dataclass(frozen=True)
class Outcome:
    """seconds: from submission to the end. numbers: the study's results without ids and times."""

    undisturbed_seconds: float
    killed_seconds: float
    kills: dict[str, str]
    same: bool
    numbers: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def run(
    *, seeds: int, search_epochs: int, short_epochs: int, final_epochs: int, workers: int, say: Callable[[str], None]
) -> Outcome:
    """Run both studies on the digits, on a separate stack. Raises RuntimeError when a study does not succeed."""
    body = {
        "seeds": list(range(seeds)),
        "search": {"dataset": "digits", "epochs": search_epochs},
        "short_retrain": {"epochs": short_epochs},
        "final": {"epochs": final_epochs},
        "final_runs": 3,
    }
    environment = {"DARTBOARD_LEASE_SECONDS": "5", "OMP_NUM_THREADS": "1"}
    with (
        TemporaryDirectory() as data,
        LocalStack(Path(data), port=0, workers=workers, environment=environment) as stack,
        Dartboard(stack.url) as dartboard,
    ):
        undisturbed, usual = _followed(dartboard, body, lambda _: None, say)
        left = dict(KILLS)

        def strike(stage: str) -> None:
            if (victim := left.pop(stage.split("/")[0], None)) is not None:
                stack.processes[victim].kill()
                say(f"killed {victim}")

        killed, seconds = _followed(dartboard, body, strike, say)
        first, second = numbers(undisturbed, dartboard), numbers(killed, dartboard)
        return Outcome(usual, seconds, {s: v for s, v in KILLS.items() if s not in left}, first == second, second)


def _followed(
    dartboard: Dartboard, body: dict[str, Any], began: Callable[[str], None], say: Callable[[str], None]
) -> tuple[JobOut, float]:
    start = time.monotonic()
    study = dartboard.submit("study", body)
    for event in dartboard.follow(study):
        if event.kind == "child":
            say(f"{time.monotonic() - start:6.1f} s {event.data['stage']} {event.data['status']}")
            if event.data["status"] == "running":
                began(event.data["stage"])
    seconds = round(time.monotonic() - start, 1)
    ended = dartboard.job(study.id)
    if ended.status != "succeeded":
        raise RuntimeError(f"the study is {ended.status}: {ended.error}")
    return ended, seconds


def numbers(study: JobOut, dartboard: Dartboard) -> dict[str, Any]:
    """A study's results without ids and times: the table, the choice, and every epoch of every child."""
    assert study.result is not None
    [point] = study.result["points"]
    rows = [{k: v for k, v in row.items() if not str(v).startswith("/")} for row in point["candidates"]]
    chosen = {k: v for k, v in point["chosen"].items() if k != "search"}
    epochs = {str(c.stage): [e.metrics for e in dartboard.epochs(c.id)] for c in dartboard.children(study.id)}
    return {"candidates": rows, "chosen": chosen, "final": study.result["winners"][0]["final"], "epochs": epochs}
