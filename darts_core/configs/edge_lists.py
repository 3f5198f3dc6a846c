"""Checks and fills the operations of single edges in a search's spec. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from darts_core.configs.primitive_names import PrimitiveName
from darts_core.errors import Problem
from darts_core.operation_plugins import added_operations
from darts_core.primitives import OPERATIONS, edges_of
from darts_core.spaces import Space

_MOST: Final = edges_of(12)

_Operations = Annotated[list[PrimitiveName], Field(min_length=1, max_length=64)]
_Lists = Annotated[list[_Operations], Field(min_length=2, max_length=_MOST)]
Edges = Annotated[dict[Literal["normal", "reduce"], _Lists], Field(min_length=1)]
"""For kinds of cells the operations of each edge, ordered by node and then by source."""


def fill_edges(values: dict[str, Any], space: Space) -> list[Problem]:
    """Set `edges` from the space, and without a space `primitives` from `edges`; order each list as the primitives are.

    space: the spec's, or the default one. Returns the problems of `edges`.
    """
    own = values.get("edges")
    if values.get("space") is not None and space.edges:
        lists = {kind: [list(names) for names in of_kind] for kind, of_kind in space.edges.items()}
        if own is not None and own != lists:
            return [Problem(("edges",), f"differ from those of space {space.name!r}: give one or the other")]
        values["edges"] = lists
        return _counts(lists, values["nodes"])
    if own is None:
        return []
    if values.get("space") is None and values.get("primitives") is None:
        listed = {name for lists in own.values() for names in lists for name in names}
        values["primitives"] = [name for name in (*OPERATIONS, *added_operations()) if name in listed]
    primitives: Sequence[str] = values.get("primitives") or space.primitives
    problems = _counts(own, values["nodes"])
    for kind, lists in own.items():
        for edge, names in enumerate(lists):
            place = ("edges", kind, edge)
            if beyond := [name for name in names if name not in primitives]:
                problems.append(Problem(place, f"{beyond[0]} is none of the primitives: {', '.join(primitives)}"))
            elif len(set(names)) != len(names):
                problems.append(Problem(place, "each operation can be named once"))
            elif names == ["none"]:
                problems.append(Problem(place, "at least one operation other than 'none' is needed"))
    values["edges"] = {
        kind: [[name for name in primitives if name in names] for names in lists] for kind, lists in own.items()
    }
    return problems


def _counts(lists: dict[str, list[list[str]]], nodes: int) -> list[Problem]:
    expected = edges_of(nodes)
    return [
        Problem(("edges", kind), f"a cell of {nodes} nodes has {expected} edges, not {len(of_kind)}")
        for kind, of_kind in lists.items()
        if len(of_kind) != expected
    ]
