"""Defines conditions that match partial indexes.

Their values are literals: a generic plan, made once for all parameters, cannot use such an index.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, literal

from api.db.models import Attempt, Job
from api.schemas.jobs import AttemptStatus, Status

QUEUED: Final[ColumnElement[bool]] = Job.status == literal(Status.QUEUED.value, literal_execute=True)
CLAIMABLE: Final[ColumnElement[bool]] = QUEUED & Job.hold.is_(None)
RUNNING: Final[ColumnElement[bool]] = Attempt.status == literal(AttemptStatus.RUNNING.value, literal_execute=True)
