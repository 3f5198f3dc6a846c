"""Describes committees: searches in several spaces, a training of each cell and their ensemble, as one
composite job.
"""

from __future__ import annotations

from typing import Final

from api.composite.committee import at_once, next_step, planned, worth_retrying
from api.composite.steps import Protocol
from api.composite.validate import ChildValidator
from api.kinds.kind import Form, Kind, References, Resolved
from api.schemas.committees import CommitteeCreate, CommitteePoint, CommitteeSpec, RnnCommitteeCreate
from api.schemas.families import family_by_search
from api.schemas.jobs import JobKind


async def _resolve(body: CommitteeCreate | RnnCommitteeCreate, references: References) -> Resolved:
    """Search in each space, train the cells from scratch and measure their ensemble.

    422 names the invalid field of the child, such as `evaluation.epochs`.
    """
    validator, points = ChildValidator(references.datasets, body.family, body.gpus), []
    for space in body.names:
        values = {"space": space}
        search = await validator.search(body.search, values, axes="spaces")
        evaluation = await validator.training("evaluation", body.evaluation, search, runs=len(body.seeds))
        points.append(CommitteePoint(values=values, search=search, evaluation=evaluation))
    ensemble = await validator.ensemble(body.ensemble, points[0].evaluation)
    members = len(points) * len(body.seeds)
    return Resolved(
        CommitteeSpec(
            family=body.family,
            dataset=points[0].search["dataset"],
            seeds=body.seeds,
            enough=body.enough or max(2, -(-members // 2)),
            points=points,
            ensemble=ensemble,
        )
    )


COMMITTEE: Final = Kind(
    name=JobKind.COMMITTEE,
    requests={"cnn": CommitteeCreate, "rnn": RnnCommitteeCreate},
    resolve=_resolve,
    family_of_body=family_by_search,
    links={"children": "children"},
    protocol=Protocol(next_step, worth_retrying, planned, at_once),
    form=Form(
        submit="Start the committee",
        about="Searches and trains a cell in each of several spaces, and joins the networks in an ensemble.",
        first={
            "": ("name", "spaces", "seeds", "enough", "search", "evaluation", "ensemble"),
            "search": ("dataset", "preset", "epochs", "method", "order"),
            "evaluation": ("dataset", "preset", "epochs", "seed"),
            "ensemble": ("combine", "curve"),
        },
        hidden={"search": ("seed", "space", "primitives", "init_from"), "evaluation": ("init_from",)},
        presets={"search": "search", "evaluation": "evaluation"},
    ),
)
