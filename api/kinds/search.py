"""Describes searches: differentiable architecture searches for a cell."""

from __future__ import annotations

from typing import Final

from api.kinds.kind import Form, Kind, References, Resolved
from api.schemas.jobs import JobKind
from api.schemas.searches import RnnSearchCreate, SearchCreate
from darts_core.families import family_in


async def _resolve(body: SearchCreate | RnnSearchCreate, references: References) -> Resolved:
    """Queue a search. 422 for an unknown data set or primitive, or an invalid value."""
    family = family_in({"family": body.family})
    given = {name: value for name, value in body.given().items() if name in family.search.model_fields}
    spec = family.search(**given).resolved(await references.datasets.info_for(family, body.dataset))
    spec.check_gpus(body.gpus)
    return Resolved(spec)


SEARCH: Final = Kind(
    name=JobKind.SEARCH,
    requests={"cnn": SearchCreate, "rnn": RnnSearchCreate},
    resolve=_resolve,
    objective=lambda spec: family_in(spec).selection,
    leaves=("epoch-N.pt",),
    links={
        "checkpoint": "checkpoint",
        "checkpoints": "checkpoints",
        "genotype": "genotype",
        "alphas": "alphas",
        "progress": "progress.gif",
    },
    finds_cells=True,
    form=Form(
        submit="Search a cell",
        first={"": ("name", "dataset", "preset", "epochs", "seed", "space", "method", "order")},
        presets={"": "search"},
    ),
)
