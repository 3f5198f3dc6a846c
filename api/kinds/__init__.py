"""Registers the kinds of jobs. To add a kind, describe it in a file of its own and call `register`.

Modules imported by the files of this package must not import the package.
"""

from __future__ import annotations

from typing import Final

from api.db.models import Job
from api.kinds.committee import COMMITTEE
from api.kinds.ensemble import ENSEMBLE
from api.kinds.evaluation import EVALUATION
from api.kinds.kind import Kind, References, Resolved
from api.kinds.prediction import PREDICTION
from api.kinds.score import SCORE
from api.kinds.search import SEARCH
from api.kinds.study import STUDY

__all__ = ["KINDS", "Kind", "References", "Resolved", "kind_of", "register"]

KINDS: Final[dict[str, Kind]] = {}


def register(kind: Kind) -> None:
    """Register a kind under its name; apps created before do not serve it. Raises ValueError if the name is taken."""
    if KINDS.setdefault(kind.name, kind) is not kind:
        raise ValueError(f"the kind {kind.name!r} is registered already")


def kind_of(job: Job) -> Kind:
    return KINDS[job.kind]


for _kind in (SEARCH, EVALUATION, SCORE, ENSEMBLE, STUDY, COMMITTEE, PREDICTION):
    register(_kind)
