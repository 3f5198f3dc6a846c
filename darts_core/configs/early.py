"""Validates `stop_when`, the early-stopping conditions of a search's spec. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from darts_core.errors import ConfigError, Problem
from darts_core.training.early_stopping import OF_EIGENVALUES, Condition


def _checked(text: str) -> str:
    Condition.parse(text)
    return text


Comparison = Annotated[str, Field(max_length=60), AfterValidator(_checked)]
CnnSign = Literal["skip_connects", "parameter_free", "alpha_entropy", "eigenvalue", "eigenvalue_growth"]
RnnSign = Literal["identities", "alpha_entropy"]
StopFrom = Annotated[
    int,
    Field(
        ge=1,
        le=100_000,
        description="first epoch after which `stop_when` may end the search; early alphas mean little",
    ),
]


def early_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Refuse conditions that can never apply, or whose quantity is not measured."""
    problems = []
    first, last = values.get("stop_from", 1), values["epochs"]
    if first > last:
        problems.append(Problem(("stop_from",), f"epoch {first} lies behind the last one, {last}"))
    if values.get("hessian_every") is not None:
        return problems
    return problems + [
        Problem(("stop_when", name), "needs hessian_every: after how many epochs the eigenvalue is measured, say 1")
        for name in values.get("stop_when") or {}
        if name in OF_EIGENVALUES
    ]


def check_hessian(every: int | None, gpus: int) -> None:
    """Raise ConfigError for the eigenvalue on several GPUs: BatchNorm over them has no second derivatives."""
    if every is not None and gpus > 1:
        raise ConfigError(
            [Problem(("hessian_every",), f"works on one GPU, not on {gpus}: leave it out, or give gpus=1")]
        )
