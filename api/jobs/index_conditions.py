"""Conditions that partial indexes name.

Their values stand in the statement: a plan that the database makes once for all parameters could not use such an index.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, literal

from api.db.models import Attempt, Job
from api.schemas.jobs import Status

QUEUED: Final[ColumnElement[bool]] = Job.status == literal(Status.QUEUED.value, literal_execute=True)
RUNNING: Final[ColumnElement[bool]] = Attempt.status == literal("running", literal_execute=True)
