"""Checks the fields of specs whose network is NAS-Bench-201's (arXiv:2001.00326). Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from darts_core.errors import Problem
from darts_core.primitives import CNN_PRIMITIVES, NASBENCH201_PRIMITIVES
from darts_core.spaces.nasbench201 import NAME as NASBENCH201
from darts_core.spaces.nasbench201 import STAGES

# The only stem: a convolution that keeps the image's size.
STEM: Final = "cifar"
# What a preset of another network may set and this one lacks.
LACKING: Final[Mapping[str, Any]] = {"reductions": None, "auxiliary": False, "drop_path": 0.0, "edge_skips": False}


def nasbench201_problems(values: Mapping[str, Any]) -> list[Problem]:
    """A problem for every field that does not apply to the network, and for layers that cannot be divided."""
    problems = []
    if values["layers"] % STAGES:
        message = f"the network of space 'nasbench201' has {STAGES} stages: give a multiple of {STAGES}"
        problems.append(Problem(("layers",), f"{message}, not {values['layers']}"))
    if values.get("stem") not in (None, STEM):
        problems.append(Problem(("stem",), f"the network of space 'nasbench201' has the stem {STEM!r}: leave it out"))
    problems += [
        Problem((name,), f"the network of space 'nasbench201' has none: {_ADVICE[name]}")
        for name, value in LACKING.items()
        if values.get(name, value) != value
    ]
    return problems


def search_problems(values: Mapping[str, Any]) -> list[Problem]:
    """A problem for every field of a search that does not apply to the space."""
    problems = nasbench201_problems({name: values.get(name) for name in ("layers", "stem", "reductions")})
    if values.get("edges") is not None:
        problems.append(Problem(("edges",), f"are not of space {NASBENCH201!r}: leave them out"))
    return problems


def depth_refusal(method: str) -> str:
    """The message for a method that adds cells."""
    return f"{method} adds cells from stage to stage; space {NASBENCH201!r} has a fixed depth: choose another method"


def foreign_primitives(space: str, values: Mapping[str, Any]) -> list[Problem]:
    """A problem for operations of NAS-Bench-201 in another space."""
    given = [name for name in values.get("primitives") or () if name in NASBENCH201_PRIMITIVES]
    foreign = [name for name in given if name not in CNN_PRIMITIVES]
    if space == NASBENCH201 or not foreign:
        return []
    return [Problem(("primitives",), f"{', '.join(foreign)}: only of space 'nasbench201', which has them all")]


_ADVICE: Final = {
    "reductions": "residual blocks halve its maps; leave it out",
    "auxiliary": "leave it out, or give false",
    "drop_path": "leave it out, or give 0",
    "edge_skips": "leave it out, or give false",
}
