"""Describes studies: the protocol from searches to test figures as one composite job."""

from __future__ import annotations

import asyncio
from typing import Final

from api.composite.points import grow, point, sampled
from api.composite.steps import Protocol
from api.composite.study import at_once, next_step, planned, worth_retrying
from api.composite.validate import ChildValidator
from api.http.problems import invalid
from api.kinds.kind import Form, Kind, References, Resolved
from api.schemas.families import family_by_search
from api.schemas.jobs import JobKind
from api.schemas.studies import MOST_SEARCHES, RnnStudyCreate, StudyCreate, StudySpec


async def _resolve(body: StudyCreate | RnnStudyCreate, references: References) -> Resolved:
    """Search with several seeds, retrain briefly, choose on validation data, retrain the chosen cell and report on the
    test data.

    422 names the invalid field of the child, such as `search.epochs`.
    """
    grid, sample = list(body.grid.points()), body.sample
    if sample is not None and grid != [{}]:
        raise invalid("grid", "a sampled study has its values under `sample`: `choice` takes a list")
    if (searches := (sample.trials if sample else len(grid)) * len(body.seeds)) > MOST_SEARCHES:
        raise invalid("seeds", f"{searches} searches in total exceed the limit of {MOST_SEARCHES}: split the study")
    if body.strategy is not None and body.grid.dataset is not None:
        raise invalid("grid.dataset", "figures of different data sets do not compare: a strategy takes one")
    if body.strategy is not None and ("epochs" in grid[0] or (sample is not None and "epochs" in sample.over)):
        place = "grid" if sample is None else "sample.over"
        raise invalid(f"{place}.epochs", "the strategy has `max_epochs` for all searches: leave it out")
    validator, points = ChildValidator(references.datasets, body.family, body.gpus), []
    if sample is None:
        for values in grid:
            await asyncio.sleep(0)  # lets other requests run during the validation of a large grid
            points.append(await point(validator, body, values, "grid"))
    spec = StudySpec(
        family=body.family,
        dataset="",
        seeds=body.seeds,
        final_runs=body.final_runs,
        enough=body.enough or -(-len(body.seeds) // 2),
        enough_final=body.enough_final or -(-body.final_runs // 2),
        points=points,
        sample=sample and await sampled(validator, body, sample),
        strategy=body.strategy,
    )
    grown = await grow(spec.model_dump(mode="json"), {}, references.datasets, body.gpus)
    spec = spec if grown is None else StudySpec(**grown)
    spec.dataset = ", ".join(dict.fromkeys(each.search["dataset"] for each in spec.points))
    return Resolved(spec)


_TRAINING: Final = ("dataset", "preset", "epochs", "seed")
STUDY: Final = Kind(
    name=JobKind.STUDY,
    requests={"cnn": StudyCreate, "rnn": RnnStudyCreate},
    resolve=_resolve,
    family_of_body=family_by_search,
    links={"children": "children"},
    protocol=Protocol(next_step, worth_retrying, planned, at_once, grow),
    form=Form(
        submit="Start the study",
        about="Repeats a search over seeds and settings, chooses the best cell and trains it to the end.",
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
