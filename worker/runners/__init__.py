"""One runner a job kind: from the claimed spec to the reports of darts_core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from api.schemas.jobs import JobKind
from darts_core.ensembles.report import EnsembleReport
from darts_core.scoring.images import ScoreReport
from darts_core.scoring.text import TextScoreReport
from darts_core.training.control import Control
from darts_core.training.reports import EpochReport


class Runner(Protocol):
    """Runs a job from its start or from a checkpoint's file, an epoch at a time.

    inputs: the files that it was given to work on, by name.
    """

    def __call__(
        self,
        spec: dict[str, Any],
        *,
        data_root: Path,
        resume_from: Path | None,
        inputs: Mapping[str, Path],
        control: Control,
        gpus: int,
    ) -> Iterator[EpochReport] | Iterator[ScoreReport] | Iterator[TextScoreReport] | Iterator[EnsembleReport]:
        """Raises what darts_core raises."""


def runner_of(kind: JobKind) -> Runner:
    """The runner of this kind."""
    from worker.runners import ensemble, evaluation, score, search

    runners: dict[JobKind, Runner] = {
        JobKind.SEARCH: search.run,
        JobKind.EVALUATION: evaluation.run,
        JobKind.SCORE: score.run,
        JobKind.ENSEMBLE: ensemble.run,
    }
    return runners[kind]
