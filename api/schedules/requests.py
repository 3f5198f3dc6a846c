"""Reads the request that a schedule stores, as the creation of a job reads its body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api.db.models import Schedule
from api.http.problems import Loc, relocated
from api.kinds import KINDS, Kind, References, Resolved
from api.schemas.families import without_family
from api.schemas.jobs import JobFrame


@dataclass(frozen=True)
class Read:
    """What creates the job."""

    kind: Kind
    frame: JobFrame
    resolved: Resolved


async def read(schedule: Schedule, references: References) -> Read:
    """Raises the ProblemErrors and ConfigErrors of the kind; their fields are under `request`."""
    kind = KINDS[schedule.kind]
    with relocated(_under_request, kind.body):
        frame: Any = kind.bodies.validate_python(schedule.request)
        resolved = await kind.resolve(frame, references)
    return Read(kind, frame.model_copy(update={"name": frame.name or schedule.name}), resolved)


def _under_request(loc: Loc) -> Loc:
    return ("request", *without_family(loc))
