"""Lists the presets from which specs start."""

from __future__ import annotations

from itertools import product

from fastapi import APIRouter

from api.schemas.jobs import JobKind
from api.schemas.presets import PresetList, PresetOut
from darts_core.families import FAMILIES

router = APIRouter(prefix="/presets", tags=["jobs"])


@router.get("")
async def list_presets() -> PresetList:
    """The default values of specs, by preset."""
    return PresetList(
        items=[
            PresetOut(
                kind=kind,
                family=family.name,
                name=name,
                version=version,
                latest=version == max(editions),
                values=values,
            )
            for kind, family in product((JobKind.SEARCH, JobKind.EVALUATION), FAMILIES.values())
            for name, editions in family.presets(kind).items()
            for version, values in editions.items()
        ]
    )
