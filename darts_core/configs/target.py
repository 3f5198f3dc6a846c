"""Validates `target`: what a search's cell may cost, besides being accurate. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from darts_core.errors import ConfigError, Problem

CostName = Literal["multiply_adds", "parameters", "latency_ms"]
"""Of the network that the data set's evaluation preset trains; the latency is of one image."""


class TargetTerm(BaseModel):
    """One cost's term of the alphas' loss: weight * log(cost), or with a limit weight * max(0, log(cost / limit))."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: float = Field(1.0, ge=0, le=1000, allow_inf_nan=False, description="factor of the term")
    at_most: float | None = Field(
        None, gt=0, le=1e18, allow_inf_nan=False, description="the limit below which the cost is not reduced further"
    )


def _limited(value: Any) -> Any:
    return {"at_most": value} if isinstance(value, (int, float)) and not isinstance(value, bool) else value


Target = dict[CostName, Annotated[TargetTerm, BeforeValidator(_limited)]]
"""The terms by cost. A bare number is a limit."""


def target_problems(values: Mapping[str, Any], *, supported: bool) -> list[Problem]:
    """Refuse a target under a method that does not support it."""
    if supported or values.get("target") is None:
        return []
    return [Problem(("target",), f"{values['method']} takes no target: leave it out")]


def check_target(target: Target | None, gpus: int) -> None:
    """Raise ConfigError for a latency on several GPUs: each would measure its own."""
    if target is not None and "latency_ms" in target and gpus > 1:
        message = f"is measured on one GPU, not on {gpus}: give gpus=1, or weigh multiply_adds"
        raise ConfigError([Problem(("target", "latency_ms"), message)])
