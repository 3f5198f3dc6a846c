"""The start of a training from another job's state: its fields, and which states fit which specs. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from darts_core.configs.methods import METHODS, Method
from darts_core.errors import Problem
from darts_core.genotypes import AnyGenotype, Genotype, NasBench201Genotype, RecurrentGenotype, parse_any
from darts_core.genotypes.places import places_of
from darts_core.models.layout import reduction_layers
from darts_core.spaces import SPACES, Space, space_of
from darts_core.spaces.nasbench201 import NAME as NASBENCH201

Spec = Mapping[str, Any]

SOURCE: Final = "source.pt"
"""The name of a job's input file: the checkpoint that it starts from."""
ALPHAS: Final = "alphas.json"
"""The name of a job's input file: the alphas that it starts from, if it takes nothing else."""


class InitFrom(BaseModel):
    """The state of another job that a training starts from. Its optimisers and schedules begin anew."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    job: UUID = Field(description="a search; of an evaluation also another evaluation")
    epoch: int | None = Field(
        None, ge=1, lt=2**31, description="whose state it is; by default the last, of an evaluation the best"
    )
    what: Literal["weights", "alphas", "all"] | None = Field(
        None, description="`all` is weights and alphas; default: `all` for a search, `weights` for an evaluation"
    )
    checksum: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the checkpoint or the alphas; filled in when the job is created",
    )


Start = Annotated[
    InitFrom | None,
    Field(
        description="start from the weights, the alphas or both of another job, in place of those that the seed draws"
    ),
]


def fill_start(values: dict[str, Any]) -> list[Problem]:
    """Set what a resolved spec's `init_from` takes by default. Returns the problem, if it can take no such thing."""
    start: InitFrom | None = values.get("init_from")
    if start is None:
        return []
    method = None if "genotype" in values else METHODS[values.get("method", "darts")]
    what = start.what or ("weights" if method is None else "all")
    values["init_from"] = start.model_copy(update={"what": what})
    if method is None:
        return [] if what == "weights" else [_what(f"{what!r} is for searches: an evaluation has no alphas")]
    if not method.trains:
        return [Problem(("init_from",), f"{method.name} trains nothing: leave it out")]
    if "stage_operations" in method.fields:
        message = f"{method.name} searches in stages, each with a network of its own: choose another method"
        return [Problem(("init_from",), message)]
    if what != "weights" and not method.trains_alphas:
        return [_what(f"{method.name} trains no alphas: give weights")]
    return []


def start_problems(spec: Spec, kind: str, source: Spec) -> list[Problem]:
    """Why a training cannot start from a job of this kind, field by field; none if it can.

    spec: resolved, of the training, as JSON. source: likewise, of the job.
    """
    if spec["family"] != source["family"]:
        return [_job(f"is of family {source['family']!r}, not {spec['family']!r}")]
    if "genotype" in spec:
        return _training_problems(spec, kind, source)
    if kind != "search":
        return [_job(f"is of kind {kind}: a search starts from a search")]
    if source.get("select") is not None:
        return [_job("is a selection, whose alphas no longer choose its operations: give its search")]
    return _search_problems(spec, source)


def _search_problems(spec: Spec, source: Spec) -> list[Problem]:
    what, method, theirs = spec["init_from"]["what"], METHODS[spec["method"]], METHODS[source["method"]]
    if not theirs.trains:
        return [_job(f"is of method {theirs.name}, which trains nothing")]
    if "stage_operations" in theirs.fields:
        return [_job(f"is of method {theirs.name}, whose network differs from stage to stage")]
    problems = [*_differing(_tables(spec), _tables(source), spec, source)]
    if what != "alphas":
        way_out = "" if problems else "; `what`: alphas fits"
        problems += _differing(_modules(spec), _modules(source), spec, source, way_out)
    if what != "weights" and not theirs.trains_alphas:
        problems.append(_what(f"the search is of method {theirs.name}, which trains no alphas: give weights"))
    elif what != "weights" and _meaning(method) != _meaning(theirs):
        message = f"{method.name} makes other weights of alphas than {theirs.name}: give that, or `what`: weights"
        problems.append(Problem(("method",), message))
    return problems


def _training_problems(spec: Spec, kind: str, source: Spec) -> list[Problem]:
    """Of an evaluation: it takes a network of its own shape, or from a supernet what its cell has of it."""
    if kind == "evaluation":
        problems = [*_differing(_sizes(spec) | _skips(spec), _sizes(source) | _skips(source), spec, source)]
        if spec["genotype"] != source["genotype"]:
            message = "is not the cell of init_from's job: give that one, as its spec has it"
            problems.append(Problem(("genotype",), message))
        return problems
    if not METHODS[source["method"]].trains:
        return [_job(f"is of method {source['method']}, which trains nothing")]
    names = ("channels", "hidden_size", "text_checksum")
    ours, theirs = ({name: each.get(name) for name in names} for each in (spec, source))
    problems = [*_differing(ours, theirs, spec, source)]
    if foreign := _foreign(parse_any(spec["genotype"]), source):
        problems.append(Problem(("genotype",), f"{foreign}: give a cell of that search's space"))
    return problems


def _skips(spec: Spec) -> dict[str, Any]:
    return {"edge_skips": spec.get("edge_skips", False)}


def _foreign(cell: AnyGenotype, search: Spec) -> str | None:
    """Why a cell is not one of a search's supernet; None if it is."""
    if isinstance(cell, RecurrentGenotype):
        nodes, theirs = len(cell.recurrent), search["nodes"]
        return None if nodes == theirs else f"has {nodes} nodes, the supernet of init_from's job {theirs}"
    if isinstance(cell, NasBench201Genotype) != (search.get("space") == NASBENCH201):
        return f"is a cell of another kind than those of space {search.get('space')!r} of init_from's job"
    if isinstance(cell, Genotype):
        last = range(2, 2 + search["nodes"])[-(_space(search).outputs or search["nodes"]) :]
        if not {cell.normal_concat, cell.reduce_concat} <= {tuple(last)}:
            return f"does not concatenate nodes {last[0]} to {last[-1]}, as the supernet of init_from's job does"
    for kind, places in places_of(cell).items():
        lists = (search.get("edges") or {}).get(kind)
        for op, edge in places:
            offered = lists[edge] if lists else search["primitives"]
            if op not in offered:
                there = f"the supernet of init_from's job has {', '.join(offered)}"
                return f"has {op} on edge {edge} ({kind}), where {there}"
    return None


def _tables(spec: Spec) -> dict[str, Any]:
    """The values that the shapes of the alphas depend on, by field."""
    return {
        "space": _space(spec).cells,
        **{name: spec.get(name) for name in ("nodes", "primitives", "edges")},
    }


def _modules(spec: Spec) -> dict[str, Any]:
    """The values that the modules of a supernet depend on besides, by field."""
    space = _space(spec)
    return {
        **_sizes(spec),
        "space": (space.edge_skips, space.outputs),
        "partial_channels": spec.get("partial_channels") or 1,
        "method": "branch_scale" in METHODS[spec["method"]].fields,
    }


def _space(spec: Spec) -> Space:
    """The space of convolutional cells that a spec names; of other specs, which differ by `primitives`, DARTS'."""
    return space_of(spec.get("space")) or SPACES["darts"]


def _sizes(spec: Spec) -> dict[str, Any]:
    """The values that the sizes of a network depend on, by field."""
    sizes = {name: spec.get(name) for name in ("channels", "layers", "stem", "hidden_size", "text_checksum")}
    if "layers" in spec:
        sizes["reductions"] = reduction_layers(spec["layers"], spec.get("reductions"))
    return sizes


def _differing(
    values: Mapping[str, Any], others: Mapping[str, Any], spec: Spec, source: Spec, way_out: str = ""
) -> Iterator[Problem]:
    """A problem for each field that differs, unless only a worker knows its value, or it follows from another one."""
    for name, value in values.items():
        unknown = name in ("stem", "text_checksum") and None in (value, others[name])
        follows = name == "reductions" and values["layers"] != others["layers"]
        if value != others[name] and not unknown and not follows:
            message = f"is {spec.get(name)!r}, in init_from's job {source.get(name)!r}: give the same{way_out}"
            yield Problem((name,), message)


def _meaning(method: Method) -> str:
    """How a method makes weights of alphas: methods of the same meaning can take each other's."""
    own = not method.softmax or "partial_channels" in method.fields
    return method.name if own else "softmax"


def _job(message: str) -> Problem:
    return Problem(("init_from", "job"), message)


def _what(message: str) -> Problem:
    return Problem(("init_from", "what"), message)
