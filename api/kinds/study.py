"""Describes studies: the protocol from searches to test figures as one composite job."""

from __future__ import annotations

import asyncio
from typing import Final

from api.composite.steps import Protocol
from api.composite.study import at_once, next_step, planned, worth_retrying
from api.composite.validate import ChildValidator
from api.http.problems import invalid
from api.kinds.kind import Form, Kind, References, Resolved
from api.schemas.families import family_by_search
from api.schemas.jobs import JobKind
from api.schemas.studies import MOST_SEARCHES, RnnStudyCreate, StudyCreate, StudyPoint, StudySpec


async def _resolve(body: StudyCreate | RnnStudyCreate, references: References) -> Resolved:
    """Search with several seeds, retrain briefly, choose on validation data, retrain the chosen cell and report on the
    test data.

    422 names the invalid field of the child, such as `search.epochs`.
    """
    grid = list(body.grid.points())
    if (searches := len(grid) * len(body.seeds)) > MOST_SEARCHES:
        raise invalid("seeds", f"{searches} searches in total exceed the limit of {MOST_SEARCHES}: split the study")
    asha = None if body.strategy is None else body.strategy.asha
    if asha is not None and body.grid.dataset is not None:
        raise invalid("grid.dataset", "figures of different data sets do not compare: a strategy takes one")
    if asha is not None and any("epochs" in values for values in grid):
        raise invalid("grid.epochs", "the strategy has `max_epochs` for all searches: leave it out")
    validator, points = ChildValidator(references.datasets, body.family, body.gpus), []
    for values in grid:
        await asyncio.sleep(0)  # lets other requests run during the validation of a large grid
        epochs = {} if asha is None else {"epochs": asha.max_epochs}
        search = await validator.search(body.search, {**values, **epochs}, axes="grid")
        short = await validator.short_training("short_retrain", body.short_retrain, search)
        final = await validator.training("final", body.final, search, runs=body.final_runs)
        points.append(StudyPoint(values=values, search=search, short_retrain=short, final=final))
    return Resolved(
        StudySpec(
            family=body.family,
            dataset=", ".join(dict.fromkeys(point.search["dataset"] for point in points)),
            seeds=body.seeds,
            final_runs=body.final_runs,
            enough=body.enough or -(-len(body.seeds) // 2),
            enough_final=body.enough_final or -(-body.final_runs // 2),
            points=points,
            strategy=body.strategy,
        )
    )


_TRAINING: Final = ("dataset", "preset", "epochs", "seed")
STUDY: Final = Kind(
    name=JobKind.STUDY,
    requests={"cnn": StudyCreate, "rnn": RnnStudyCreate},
    resolve=_resolve,
    family_of_body=family_by_search,
    links={"children": "children"},
    protocol=Protocol(next_step, worth_retrying, planned, at_once),
    form=Form(
        submit="Start the study",
        first={
            "": ("name", "seeds", "final_runs", "enough", "enough_final"),
            "search": ("dataset", "preset", "epochs", "space", "method", "order"),
            "short_retrain": _TRAINING,
            "final": _TRAINING,
        },
        hidden={"search": ("seed", "init_from"), "short_retrain": ("init_from",), "final": ("init_from",)},
        presets={"search": "search", "short_retrain": "evaluation short", "final": "evaluation"},
    ),
)
