"""Lists the search methods."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from api.schemas.methods import MethodFieldOut, MethodList, MethodOut
from darts_core.configs.method_fields import MethodFields
from darts_core.configs.method_rules import fields_of
from darts_core.configs.methods import METHODS, Computed, Method

router = APIRouter(prefix="/methods", tags=["jobs"])


@router.get("")
async def list_methods() -> MethodList:
    """The search methods, with their fields and limits."""
    return MethodList(items=[_method_out(method) for method in METHODS.values()])


def _method_out(method: Method) -> MethodOut:
    fields = [
        MethodFieldOut(
            name=name,
            description=MethodFields.model_fields[name].description or "",
            default=None if isinstance(default, Computed) else default,
            rule=default.text if isinstance(default, Computed) else None,
        )
        for name, default in fields_of(method).items()
    ]
    return MethodOut.model_validate({**asdict(method), "fields": fields})
