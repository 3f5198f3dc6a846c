"""The kinds of job that there are. A further one is an object in a file of its own, and `register`.

What the files here import must not import this package.
"""

from __future__ import annotations

from typing import Final

from api.db.models import Job
from api.kinds.committee import COMMITTEE
from api.kinds.ensemble import ENSEMBLE
from api.kinds.evaluation import EVALUATION
from api.kinds.kind import Kind, References, Resolved
from api.kinds.score import SCORE
from api.kinds.search import SEARCH
from api.kinds.study import STUDY

__all__ = ["KINDS", "Kind", "References", "Resolved", "kind_of", "register"]

KINDS: Final[dict[str, Kind]] = {}


def register(kind: Kind) -> None:
    """Make a kind known by its name. Apps that exist already do not serve it. Raises ValueError for a taken name."""
    if KINDS.setdefault(kind.name, kind) is not kind:
        raise ValueError(f"there is a kind {kind.name!r} already")


def kind_of(job: Job) -> Kind:
    """The kind of a stored job."""
    return KINDS[job.kind]


for _kind in (SEARCH, EVALUATION, SCORE, ENSEMBLE, STUDY, COMMITTEE):
    register(_kind)
