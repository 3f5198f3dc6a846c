"""Validates `guard`, which lets a search act against its collapse. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from darts_core.configs.methods import Method
from darts_core.errors import Problem

Guard = Literal["off", "auto"]


def guard_problems(values: Mapping[str, Any], method: Method) -> list[Problem]:
    """Refuse a guard of a method that lacks what it watches or moves, and one beside other reasons to stop."""
    if values.get("guard", "off") == "off":
        return []
    problems = [Problem(("guard",), f"{refusal}: leave it out")] if (refusal := _refusal(values, method)) else []
    if values.get("stop_when"):
        problems.append(Problem(("stop_when",), "the guard decides when the search stops: leave one of them out"))
    return problems


def _refusal(values: Mapping[str, Any], method: Method) -> str | None:
    if not method.trains_alphas:
        return f"{method.name} trains no alphas"
    if "growth_limit" in method.fields:
        return f"{method.name} stops or goes back by itself"
    if not method.softmax:
        return f"{method.name} has no softmax of alphas, which the guard's penalty is for"
    if values.get("stage_operations") is not None:
        return f"{method.name} searches in stages, whose networks are gone when the next one begins"
    return None
