"""Rejects unknown query parameters, so that a misspelt one is not silently ignored."""

from __future__ import annotations

from typing import Final

from fastapi import Request
from fastapi.dependencies.models import Dependant

from api.http.problems import FieldProblem, ProblemError
from darts_core.validation import MOST_ERRORS, unknown_name

# Health probes add parameters of their own to bypass caches.
_PROBES: Final = frozenset({"/healthz", "/readyz"})


async def refuse_unknown_query(request: Request) -> None:
    """Dependency of every route. Raises ProblemError 422 that names each unknown parameter and the known ones."""
    if not request.scope["query_string"] or request.scope["path"] in _PROBES:
        return
    known = sorted(_names(request.scope["route"].dependant))
    unknown = [name for name in request.query_params if name not in known]
    if not unknown:
        return
    found = [unknown_name(name, known, "query parameter") for name in unknown[:MOST_ERRORS]]
    raise ProblemError(
        422,
        f"{found[0].loc[0]}: {found[0].msg}",
        errors=[FieldProblem.of(error, "query") for error in found],
        more=len(unknown) - len(found),
    )


def _names(dependant: Dependant) -> set[str]:
    names = {field.alias for field in dependant.query_params}
    return names.union(*(_names(each) for each in dependant.dependencies))
