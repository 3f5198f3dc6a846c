"""Describes searches: differentiable architecture searches for a cell."""

from __future__ import annotations

from typing import Final

from api.http.problems import conflict, invalid
from api.kinds.init_from import started
from api.kinds.kind import ACTIONS, Form, Kind, References, Resolved
from api.schemas.families import SELECTION, family_or_selection
from api.schemas.jobs import JobFrame, JobKind, Status
from api.schemas.searches import RnnSearchCreate, SearchCreate, SelectionCreate
from darts_core.configs.init_from import SOURCE
from darts_core.configs.selection import perturbation_of, search_config_of
from darts_core.families import CNN, family_in


async def _resolve(body: SearchCreate | RnnSearchCreate | SelectionCreate, references: References) -> Resolved:
    """Queue a search. 422 for an unknown data set or primitive, or an invalid value.

    With `init_from`, another search's state is copied now. 404 for an unknown one, 409 if it has none yet.

    With `select` and `search_id`, queue the selection of a cell of that search's supernet, whose last checkpoint is
    copied now. 404 for an unknown search, 409 unless it succeeded, 422 for one that trains no alphas, for a recurrent
    one, and for a field that contradicts its spec.
    """
    if isinstance(body, SelectionCreate):
        return await _selection(body, references)
    family = family_in({"family": body.family})
    given = {name: value for name, value in body.given().items() if name in family.search.model_fields}
    spec = family.search(**given).resolved(await references.datasets.info_for(family, body.dataset))
    spec.check_gpus(body.gpus)
    return await started(spec, references)


async def _selection(body: SelectionCreate, references: References) -> Resolved:
    search = await references.reading.job(body.search_id, JobKind.SEARCH)
    if search.spec["family"] not in (None, CNN.name):
        raise invalid("search_id", f"is of family {search.spec['family']!r}: a selection needs convolutional cells")
    if search.status != Status.SUCCEEDED:
        raise conflict(f"the search {search.id} is {search.status}: a selection follows one that succeeded")
    checkpoint = await references.reading.checkpoint(search, "last")
    given = {name: value for name, value in body.given().items() if name not in {*JobFrame.model_fields, "search_id"}}
    spec = perturbation_of(search_config_of(search.spec), checkpoint.epoch, given)
    spec.check_gpus(body.gpus)
    return Resolved(spec, source=search.id, files={SOURCE: checkpoint.stored})


SEARCH: Final = Kind(
    name=JobKind.SEARCH,
    requests={"cnn": SearchCreate, "rnn": RnnSearchCreate, SELECTION: SelectionCreate},
    family_of_body=family_or_selection,
    resolve=_resolve,
    refusals=(404, 409),
    actions=(*ACTIONS, "extend"),
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
    resumes=True,
    form=Form(
        submit="Search a cell",
        about="Finds a cell: trains a supernet and learns which operation each edge keeps.",
        first={"": ("name", "dataset", "preset", "epochs", "seed", "space", "method", "order")},
        presets={"": "search"},
    ),
)
