"""Repeats the training of a capsule as a job of a service."""

from __future__ import annotations

from typing import Any

from api.schemas.jobs import JobKind, JobOut
from client.capsules.capsule import Capsule
from client.sdk import Dartboard
from darts_core.families import family_in


def resubmit(dartboard: Dartboard, capsule: Capsule, pool: str | None = None) -> JobOut:
    """Queue the training again, with its threads and GPUs. Raises ProblemError, of an unknown data set for instance."""
    return dartboard.submit(JobKind(capsule.about.kind), request(capsule, pool))


def request(capsule: Capsule, pool: str | None = None) -> dict[str, Any]:
    """The body, with every resolved value. The data set is the one that has its name now: checksums are compared."""
    about = capsule.about
    left_out = {"genotype_seed", *family_in(about.spec).data_fields}
    frame: dict[str, Any] = {"name": f"verify {about.name or about.job}"[:200], "gpus": about.gpus}
    if pool is not None:
        frame["pool"] = pool
    spec = {name: value for name, value in about.spec.items() if name not in left_out}
    return {**spec, **frame, "threads": about.spec.get("threads") or about.threads}
