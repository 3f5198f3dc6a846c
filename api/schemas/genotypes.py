"""Defines the schemas of genotypes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from api.schemas.families import space_or_family
from darts_core.genotypes import AnyGenotype, NasBench201Genotype, RecurrentGenotype
from darts_core.primitives import Family
from darts_core.profile import CellProfile

GenotypeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,99}$")]


class GenotypeCreate(BaseModel):
    """A genotype to register under a name."""

    model_config = ConfigDict(extra="forbid")

    name: GenotypeName = Field(description="letters, digits, '_', '.' and '-'; starts with a letter")
    genotype: str | dict[str, Any] = Field(
        description="Python text, JSON, mmrazor YAML, an export of NNI, or a string or six digits of NAS-Bench-201"
    )
    family: Family | None = Field(None, description="for a name published in both families; default: cnn")


class _GenotypeBase(BaseModel):
    text: str = Field(description="`Genotype(...)`, as Python; the benchmark's string of a cell of NAS-Bench-201")

    def __str__(self) -> str:
        """The text that `import`, `register` and evaluations accept."""
        return self.text

    epoch: int | None = Field(None, description="of the search from which it was derived")
    primitives: list[str] | None = None
    parameters: int | None = Field(None, description="of the evaluation network; null if its size is unknown")
    parameters_with_auxiliary: int | None = None


CellEdges = Annotated[
    list[tuple[str, int]] | list[tuple[str, int, int]],
    Field(description="[operation, source] of two edges a node; [operation, node, source] in a sparse genotype"),
]


class _ConvolutionalOut(_GenotypeBase):
    family: Literal["cnn"] = "cnn"
    multiply_adds: int | None = Field(None, description="of convolutions and linear layers, for one image")
    training_bytes: int | None = Field(
        None, description="activations that training keeps for the backward pass, for one image in float32"
    )
    activation_bytes: int | None = Field(None, description="outputs of all layers, for one image in float32")
    cells: list[CellProfile] | None = Field(None, description="the cost of each cell")


class GenotypeOut(_ConvolutionalOut):
    """A genotype as JSON and Python text, with the cost of its evaluation network."""

    normal: CellEdges
    normal_concat: list[int]
    reduce: CellEdges
    reduce_concat: list[int]


class NasBench201GenotypeOut(_ConvolutionalOut):
    """A cell of NAS-Bench-201 as JSON and as the benchmark's string, with the cost of its network."""

    space: Literal["nasbench201"]
    cell: list[tuple[str, int]] = Field(description="the operation of each edge and the node that it reads")
    index: str = Field(description="six digits, as in the benchmark's tables")


class RecurrentGenotypeOut(_GenotypeBase):
    """A recurrent genotype as JSON and Python text, with the cost of its language model."""

    family: Literal["rnn"]
    recurrent: list[tuple[str, int]]
    concat: list[int]
    multiply_adds: int | None = Field(None, description="of matrix products, for one word")


AnyGenotypeOut = Annotated[
    Annotated[GenotypeOut, Tag("cnn")]
    | Annotated[NasBench201GenotypeOut, Tag("nasbench201")]
    | Annotated[RecurrentGenotypeOut, Tag("rnn")],
    Discriminator(space_or_family),
]


def genotype_model(genotype: AnyGenotype) -> type[GenotypeOut | NasBench201GenotypeOut | RecurrentGenotypeOut]:
    """The model of a genotype's response."""
    if isinstance(genotype, NasBench201Genotype):
        return NasBench201GenotypeOut
    return RecurrentGenotypeOut if isinstance(genotype, RecurrentGenotype) else GenotypeOut


class GenotypeList(BaseModel):
    """Names of genotypes."""

    items: list[str]
