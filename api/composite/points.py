"""Makes the points of a study: every child's spec, resolved and valid, from the request and the point's own values."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from api.composite.outcome import Outcome
from api.composite.sampler import draw, is_installed
from api.composite.steps import Children
from api.composite.study import outcomes
from api.composite.validate import ChildValidator
from api.datasets.service import DatasetService
from api.http.problems import ProblemError, invalid
from api.schemas.studies import Asha, RnnStudyCreate, Sample, SampleSpec, StudyCreate, StudyPoint
from darts_core.errors import ConfigError, Problem

Body = StudyCreate | RnnStudyCreate
_BODIES: Final[dict[str, type[Body]]] = {"cnn": StudyCreate, "rnn": RnnStudyCreate}
_PARTS: Final = frozenset({"search", "short_retrain", "final", "final_runs", "strategy"})
# Values that fit each other badly, such as more images a batch than there are, are drawn again.
_MOST_DRAWS: Final = 100


async def point(validator: ChildValidator, body: Body, values: dict[str, Any], axes: str) -> StudyPoint:
    """The point with these values, which are under `axes` in the body. Raises ProblemError and ConfigError."""
    asha: Asha | None = None if body.strategy is None else body.strategy.asha
    epochs = {} if asha is None else {"epochs": asha.max_epochs}
    search = await validator.search(body.search, {**values, **epochs}, axes=axes)
    short = await validator.short_training("short_retrain", body.short_retrain, search)
    final = await validator.training("final", body.final, search, runs=body.final_runs)
    return StudyPoint(values=values, search=search, short_retrain=short, final=final)


async def sampled(validator: ChildValidator, body: Body, sample: Sample) -> SampleSpec:
    """A sample whose distributions fit the search, each by its outermost values.

    Raises ProblemError and ConfigError.
    """
    if not is_installed():
        raise invalid("sample", "Optuna is not installed here: an admin adds it to the API (`pip install optuna`)")
    first = {name: of.edges[0] for name, of in sample.over.items()}
    for name, of in sample.over.items():
        for edge in of.edges:
            await asyncio.sleep(0)  # lets other requests run
            await point(validator, body, {**first, name: edge}, "sample.over")
    parts = body.model_dump(mode="json", include=set(_PARTS), exclude_unset=True)
    return SampleSpec(**dict(sample), parts=parts)


async def grow(
    spec: Mapping[str, Any], children: Children, datasets: DatasetService, gpus: int
) -> dict[str, Any] | None:
    """The study's spec with the points that its sampler draws now; None if it draws none.

    Call it under the study's lock: the points so far decide the next ones. Raises ConfigError.
    """
    if not spec.get("sample"):
        return None
    sample, family = SampleSpec(**spec["sample"]), spec["family"]
    known = list(zip((dict(p["values"]) for p in spec["points"]), outcomes(spec, children), strict=True))
    awaited = sum(outcome.is_awaited for _, outcome in known)
    missing = min(sample.trials - len(known), sample.at_once - awaited)
    if missing <= 0:
        return None
    body = _BODIES[family].model_validate({"family": family, **sample.parts})
    validator = ChildValidator(datasets, family, gpus)
    points = list(spec["points"])
    for _ in range(missing):
        drawn = await _drawn(validator, body, sample, known)
        points.append(drawn.model_dump(mode="json"))
        known.append((drawn.values, Outcome()))
    return {**spec, "points": points}


async def _drawn(
    validator: ChildValidator, body: Body, sample: Sample, known: list[tuple[dict[str, Any], Outcome]]
) -> StudyPoint:
    """The next point whose specs are valid."""
    last: Exception | None = None
    for refused in range(_MOST_DRAWS):
        # The first import of Optuna takes a second.
        values = await asyncio.to_thread(draw, sample, known, refused)
        try:
            return await point(validator, body, values, "sample.over")
        except (ConfigError, ProblemError) as error:
            last = error
    raise ConfigError([Problem(("sample",), f"none of {_MOST_DRAWS} draws fits; the last one: {last}")])
