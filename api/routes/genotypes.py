"""Genotypes by name: the published ones, and those that users register."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from api.deps import Genotypes
from api.genotype_answers import TEXT_ANSWERS, WantedFormat, genotype_answer
from api.pictures.answers import Pictures
from api.problems import documented, invalid, not_found
from api.schemas.genotypes import AnyGenotypeOut, GenotypeCreate, GenotypeList
from darts_core.errors import GenotypeError
from darts_core.genotypes import KNOWN_RECURRENT, parse
from darts_core.primitives import Family
from darts_core.profile import language_shape_of, shape_of

router = APIRouter(prefix="/genotypes", tags=["genotypes"], responses=documented(422, 503))
Name = Annotated[str, Path(max_length=100, pattern=r"^[^\x00]*$")]


@router.get("")
async def list_genotypes(genotypes: Genotypes) -> GenotypeList:
    """The names that `genotype` fields take."""
    return GenotypeList(items=await genotypes.names())


@router.post("", status_code=201, response_model=AnyGenotypeOut, responses=documented(409))
async def register_genotype(
    body: GenotypeCreate, genotypes: Genotypes, response: Response
) -> Response | AnyGenotypeOut:
    """Give a genotype of your own a name. 200 when it has that name already; 409 when another one has."""
    try:
        genotype = parse(body.genotype)
    except GenotypeError as error:
        raise invalid("genotype", str(error)) from error
    if not await genotypes.register(body.name, genotype):
        response.status_code = 200
    response.headers["Location"] = f"/genotypes/{body.name}"
    return genotype_answer(genotype, "json", shape=shape_of("cifar10"))


@router.get("/{name}", response_model=AnyGenotypeOut, responses=TEXT_ANSWERS | documented(404))
async def get_known_genotype(
    name: Name,
    wanted: WantedFormat,
    genotypes: Genotypes,
    pictures: Pictures,
    family: Annotated[Family, Query(description="some names stand for a cell of each")] = "cnn",
    preset: Annotated[
        Literal["cifar10", "imagenet", "ptb", "wt2"] | None,
        Query(description="of the network that is counted: cifar10, of recurrent cells ptb, unless given"),
    ] = None,
) -> Response | AnyGenotypeOut:
    """One of them, with the parameters and multiply-adds of its evaluation network."""
    if family == "rnn" and name not in KNOWN_RECURRENT:
        raise not_found("genotype", f"{name!r}; known of family 'rnn': {', '.join(KNOWN_RECURRENT)}")
    genotype = KNOWN_RECURRENT[name] if family == "rnn" else await genotypes.get(name)
    if wanted == "svg":
        return await pictures.genotype(genotype, name)
    shape = language_shape_of(preset or "ptb") if family == "rnn" else shape_of(preset or "cifar10")
    return genotype_answer(genotype, wanted, shape=shape)


@router.delete("/{name}", status_code=204, responses=documented(404, 409))
async def delete_genotype(name: Name, genotypes: Genotypes) -> None:
    """Forget a registered name; evaluations keep the cell they took. 409 for a published one."""
    await genotypes.delete(name)
