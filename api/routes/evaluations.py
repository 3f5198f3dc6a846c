"""Serves the checkpoints of evaluations."""

from __future__ import annotations

from api.routes.checkpoint_files import add_checkpoint_routes
from api.routes.collection import routes_of
from api.schemas.jobs import JobKind

router = routes_of(JobKind.EVALUATION)
add_checkpoint_routes(router, JobKind.EVALUATION, "best")
