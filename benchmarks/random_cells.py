"""Compares a searched cell with random cells, retrained alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean, stdev
from typing import Any

from api.schemas.jobs import JobOut
from client.errors import DartboardError
from client.sdk import Dartboard
from darts_core.genotypes import random_genotype, to_json


class JobEndedBadlyError(DartboardError):
    """A job of the comparison failed or was cancelled."""


def compare(
    dartboard: Dartboard,
    search: dict[str, Any],
    evaluation: dict[str, Any],
    *,
    seeds: Sequence[int],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Search once; retrain the found cell and a random cell with each seed.

    search, evaluation: request bodies; the evaluation's without a genotype. Accuracies in percent, on the test images,
    after the last epoch, which is not selected by them. Raises JobEndedBadlyError.
    """
    searching = dartboard.submit("search", search)
    # Queued first: they do not depend on the search, and a second worker can run them meanwhile.
    drawn = [
        dartboard.submit("evaluation", {**evaluation, "genotype": to_json(random_genotype(s)), "seed": s})
        for s in seeds
    ]
    found = _ended(dartboard, searching)
    genotype = dartboard.genotype(found.id)
    say(f"search {found.id}: {found.metrics}\n{genotype.text}")
    searched = [dartboard.submit("evaluation", {**evaluation, "search_id": str(found.id), "seed": s}) for s in seeds]
    return {
        "search": {"spec": found.spec, "metrics": found.metrics, "genotype": genotype.text},
        "found": _accuracies(dartboard, "found", searched, say),
        "random": _accuracies(dartboard, "random", drawn, say),
    }


def _accuracies(dartboard: Dartboard, name: str, jobs: Sequence[JobOut], say: Callable[[str], None]) -> dict[str, Any]:
    accuracies = []
    for job in jobs:
        metrics = _ended(dartboard, job).metrics or {}
        accuracies.append(metrics["test_accuracy"])
        say(f"{name}, seed {job.spec['seed']}: {metrics}\n{job.spec['genotype']['text']}")
    return {"test_accuracies": accuracies, "mean": mean(accuracies), "deviation": stdev(accuracies)}


def _ended(dartboard: Dartboard, job: JobOut) -> JobOut:
    ended = dartboard.wait(job)
    if ended.status != "succeeded":
        raise JobEndedBadlyError(f"{ended.kind} {ended.id} {ended.status}: {ended.status_reason}")
    return ended
