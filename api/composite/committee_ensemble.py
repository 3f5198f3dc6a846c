"""The last child of a committee: its spec and files can be known only when its members have been trained."""

from __future__ import annotations

from typing import Any

from api.artifacts import Stored
from api.checkpoints.lookup import Sources
from api.checkpoints.members import Members, curve_of, files_of
from api.datasets.service import DatasetService
from api.ensemble_specs import ensemble_spec
from api.jobs.queries import Reader
from api.jobs.service import JobService
from api.schemas.ensembles import EnsembleCreate


class Ensembles:
    """Does for a tree what `POST /ensembles` does for a body."""

    def __init__(self, sources: Sources, jobs: JobService, reading: Reader, datasets: DatasetService) -> None:
        self._members, self._datasets = Members(sources, jobs, reading), datasets

    async def prepared(self, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Stored]]:
        """The resolved spec, and the files by their names. Raises ProblemError and ConfigError."""
        asked = EnsembleCreate.model_validate(body)
        members = await self._members.find(asked)
        curve = curve_of(members) if asked.curve else None
        spec = await ensemble_spec(asked, members, curve, self._datasets)
        return spec.model_dump(mode="json"), files_of(members, curve or [])
