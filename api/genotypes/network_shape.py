"""Determines the network shape with which the cost of a job's cell is computed."""

from __future__ import annotations

from api.datasets.service import DatasetService
from api.db.models import Job
from api.schemas.jobs import JobKind
from darts_core.data.catalogue import BUILT_IN
from darts_core.genotypes import family_of
from darts_core.profile import LanguageShape, Shape, language_shape_for, shape_for
from darts_core.profile.specs import shape_of_spec


async def shape_of_job(job: Job, datasets: DatasetService) -> Shape | LanguageShape | None:
    """The shape of an evaluation's network, or of the network that the data set's preset would train for a search.

    None for data of a size that only a worker knows.
    """
    spec, own = job.spec, job.kind == JobKind.EVALUATION
    if family_of(spec) == "rnn":
        language = language_shape_for(spec["dataset"], await datasets.text_info_of_spec(spec))
        if language is None or not own:
            return language
        return LanguageShape(spec["hidden_size"], language.words)
    info = await datasets.info_of_spec(spec)
    if not own:
        return shape_for(spec["dataset"], info, spec.get("space"))
    info = info or BUILT_IN.get(spec["dataset"])
    if info is None:
        return None
    return shape_of_spec(spec, info)
