"""Genotypes by name: the published ones, and those that users register."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from api.deps import Genotypes
from api.genotype_answers import TEXT_ANSWERS, WantedFormat, genotype_answer
from api.problems import documented, invalid
from api.schemas.genotypes import GenotypeCreate, GenotypeList, GenotypeOut
from darts_core.errors import GenotypeError
from darts_core.genotypes import parse
from darts_core.profile import shape_of

router = APIRouter(prefix="/genotypes", tags=["genotypes"], responses=documented(422, 503))
Name = Annotated[str, Path(max_length=100)]


@router.get("")
async def list_genotypes(genotypes: Genotypes) -> GenotypeList:
    """The names that `genotype` fields take."""
    return GenotypeList(items=await genotypes.names())


@router.post("", status_code=201, response_model=GenotypeOut, responses=documented(409))
async def register_genotype(body: GenotypeCreate, genotypes: Genotypes, response: Response) -> Response | GenotypeOut:
    """Give a genotype of your own a name. 200 when it has that name already; 409 when another one has."""
    try:
        genotype = parse(body.genotype)
    except GenotypeError as error:
        raise invalid("genotype", str(error)) from error
    if not await genotypes.register(body.name, genotype):
        response.status_code = 200
    response.headers["Location"] = f"/genotypes/{body.name}"
    return genotype_answer(genotype, "json", shape=shape_of("cifar10"))


@router.get("/{name}", response_model=GenotypeOut, responses=TEXT_ANSWERS | documented(404))
async def get_known_genotype(
    name: Name,
    wanted: WantedFormat,
    genotypes: Genotypes,
    preset: Annotated[Literal["cifar10", "imagenet"], Query(description="of the network that is counted")] = "cifar10",
) -> Response | GenotypeOut:
    """One of them, with the parameters and multiply-adds of its evaluation network."""
    return genotype_answer(await genotypes.get(name), wanted, shape=shape_of(preset))


@router.delete("/{name}", status_code=204, responses=documented(404, 409))
async def delete_genotype(name: Name, genotypes: Genotypes) -> None:
    """Forget a registered name; evaluations keep the cell they took. 409 for a published one."""
    await genotypes.delete(name)
