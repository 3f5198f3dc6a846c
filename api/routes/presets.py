"""Lists the presets from which specs start."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from api.schemas.jobs import JobKind
from api.schemas.presets import PresetList, PresetOut
from darts_core.presets.cnn import EVALUATION_PRESETS, SEARCH_PRESETS, Presets
from darts_core.presets.rnn import RNN_EVALUATION_PRESETS, RNN_SEARCH_PRESETS
from darts_core.primitives import Family

router = APIRouter(prefix="/presets", tags=["jobs"])
_ALL: Final[tuple[tuple[JobKind, Family, Presets], ...]] = (
    (JobKind.SEARCH, "cnn", SEARCH_PRESETS),
    (JobKind.SEARCH, "rnn", RNN_SEARCH_PRESETS),
    (JobKind.EVALUATION, "cnn", EVALUATION_PRESETS),
    (JobKind.EVALUATION, "rnn", RNN_EVALUATION_PRESETS),
)


@router.get("")
async def list_presets() -> PresetList:
    """The default values of specs, by preset."""
    return PresetList(
        items=[
            PresetOut(
                kind=kind, family=family, name=name, version=version, latest=version == max(versions), values=values
            )
            for kind, family, presets in _ALL
            for name, versions in presets.items()
            for version, values in versions.items()
        ]
    )
