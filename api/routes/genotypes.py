"""Lists, registers and renders genotypes by name."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from api.deps import Genotypes
from api.genotypes.responses import TEXT_ANSWERS, WantedFormat, genotype_answer
from api.http.problems import documented, invalid
from api.pictures.responses import Pictures
from api.schemas.genotypes import AnyGenotypeOut, GenotypeCreate, GenotypeList
from darts_core.errors import GenotypeError
from darts_core.genotypes import AnyGenotype, RecurrentGenotype, parse, parse_any
from darts_core.primitives import Family
from darts_core.profile import LanguageShape, Shape, language_shape_of, preset_of_cell, shape_of

router = APIRouter(prefix="/genotypes", tags=["genotypes"], responses=documented(422, 503))
Name = Annotated[str, Path(max_length=100, pattern=r"^[^\x00]*$")]


@router.get("")
async def list_genotypes(
    genotypes: Genotypes, family: Annotated[Family | None, Query(description="default: both")] = None
) -> GenotypeList:
    """The names that `genotype` fields accept."""
    return GenotypeList(items=await genotypes.names(family))


@router.post("", status_code=201, response_model=AnyGenotypeOut, responses=documented(409))
async def register_genotype(
    body: GenotypeCreate, genotypes: Genotypes, response: Response
) -> Response | AnyGenotypeOut:
    """Register a genotype under a name. 200 if it has the name already; 409 if another genotype has it."""
    try:
        genotype = await asyncio.to_thread(_parsed, body)
    except GenotypeError as error:
        raise invalid("genotype", str(error)) from error
    if not await genotypes.register(body.name, genotype):
        response.status_code = 200
    response.headers["Location"] = f"/genotypes/{body.name}"
    return genotype_answer(genotype, "json", shape=_shape(genotype, None))


@router.get("/{name}", response_model=AnyGenotypeOut, responses=TEXT_ANSWERS | documented(404))
async def get_known_genotype(
    name: Name,
    wanted: WantedFormat,
    genotypes: Genotypes,
    pictures: Pictures,
    family: Annotated[Family | None, Query(description="for a name published in both families; default: cnn")] = None,
    preset: Annotated[
        Literal["cifar10", "imagenet", "ptb", "wt2"] | None,
        Query(description="of the evaluation network; default: cifar10, or ptb for a recurrent cell"),
    ] = None,
) -> Response | AnyGenotypeOut:
    """A genotype, with the parameters and multiply-adds of its evaluation network."""
    genotype = await genotypes.get(name, family)
    if wanted == "svg":
        return await pictures.genotype(genotype, name)
    return genotype_answer(genotype, wanted, shape=_shape(genotype, preset))


def _shape(genotype: AnyGenotype, preset: str | None) -> Shape | LanguageShape:
    if isinstance(genotype, RecurrentGenotype):
        return language_shape_of(preset or "ptb")
    return shape_of(preset_of_cell(genotype, preset))


@router.delete("/{name}", status_code=204, responses=documented(404, 409))
async def delete_genotype(name: Name, genotypes: Genotypes) -> None:
    """Delete a registered name; evaluations keep their cells. 409 for a published name."""
    await genotypes.delete(name)


def _parsed(body: GenotypeCreate) -> AnyGenotype:
    return parse_any(body.genotype) if body.family is None else parse(body.genotype, body.family)
