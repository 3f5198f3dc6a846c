"""Published genotypes by name."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from api.genotype_answers import TEXT_ANSWERS, WantedFormat, genotype_answer
from api.problems import documented, not_found
from api.schemas.searches import GenotypeList, GenotypeOut
from darts_core.genotypes import KNOWN
from darts_core.profile import shape_of

router = APIRouter(prefix="/genotypes", tags=["genotypes"], responses=documented(422))


@router.get("")
async def list_genotypes() -> GenotypeList:
    """The names that `genotype` fields take."""
    return GenotypeList(items=list(KNOWN))


@router.get("/{name}", response_model=GenotypeOut, responses=TEXT_ANSWERS | documented(404))
async def get_known_genotype(
    name: Annotated[str, Path(max_length=100)],
    wanted: WantedFormat,
    preset: Annotated[Literal["cifar10", "imagenet"], Query(description="of the network that is counted")] = "cifar10",
) -> Response | GenotypeOut:
    """One of them, with the parameters and multiply-adds of its evaluation network."""
    if name not in KNOWN:
        raise not_found("genotype", f"{name!r}; known: {', '.join(KNOWN)}")
    return genotype_answer(KNOWN[name], wanted, shape=shape_of(preset))
