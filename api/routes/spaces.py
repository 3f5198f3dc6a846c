"""Lists the search spaces."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from api.schemas.spaces import SpaceList, SpaceOut
from darts_core.families import FAMILIES, NetworkFamily
from darts_core.spaces import Space

router = APIRouter(prefix="/spaces", tags=["jobs"])


@router.get("")
async def list_spaces() -> SpaceList:
    """The search spaces of every family, with their operations and sizes."""
    families = FAMILIES.values()
    return SpaceList(items=[_space_out(space, family) for family in families for space in family.spaces.values()])


def _space_out(space: Space, family: NetworkFamily) -> SpaceOut:
    presets = sorted({*family.search_presets, *family.evaluation_presets})
    sizes = {name: space.fields.get(name) for name in ("channels", "layers")}
    own = [name for name in presets if name.endswith(f"@{space.name}")]
    return SpaceOut.model_validate({**asdict(space), **sizes, "family": family.name, "presets": own})
