"""Defines the schemas of evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from pydantic import Discriminator, Field, Tag

from api.schemas.families import family_of_body
from api.schemas.jobs import JobFrame
from darts_core.configs import EvaluationConfig, RnnEvaluationConfig
from darts_core.configs.evaluation import RetrainingConfig
from darts_core.configs.rnn_evaluation import RnnRetrainingConfig
from darts_core.data.catalogue import DatasetInfo
from darts_core.data.text.catalogue import TextInfo
from darts_core.genotypes.random_cells import RANDOM

GenotypeSeed = Annotated[int | None, Field(ge=0, lt=2**31, description="seed of `genotype: random`; default: `seed`")]


class EvaluationCreate(JobFrame, RetrainingConfig):
    """Request to train a cell from scratch: that of a search, or a given genotype."""

    # Optional, since a search determines its data set.
    dataset: str | None = Field(  # type: ignore[assignment]
        None, max_length=120, description="the search's own unless given"
    )
    search_id: UUID | None = Field(None, description="take the cell that this search found")
    epoch: int | None = Field(None, ge=1, lt=2**31, description="of the search; its latest unless given")
    genotype: str | dict[str, Any] | None = Field(
        None,
        description="instead of a search: a known name, Python text, JSON or mmrazor YAML; `random` draws one",
        examples=["DARTS_V2"],
    )
    genotype_seed: GenotypeSeed = None

    def config(
        self,
        *,
        dataset: str,
        genotype: str | dict[str, Any],
        info: DatasetInfo | None,
        dataset_checksum: str | None = None,
    ) -> EvaluationConfig:
        """The spec alone, resolved, for this data set and cell. info: of an uploaded data set.

        dataset_checksum: which the search used. Raises ConfigError or pydantic's ValidationError.
        """
        given = {k: v for k, v in self.given().items() if k in RetrainingConfig.model_fields}
        given = {"dataset_checksum": dataset_checksum, **given, "dataset": dataset, "genotype": genotype}
        if genotype == RANDOM:
            given["genotype_seed"] = self.genotype_seed
        return EvaluationConfig(**given).resolved(info)


class RnnEvaluationCreate(JobFrame, RnnRetrainingConfig):
    """Request to train a recurrent cell from scratch: that of a search, or a given genotype."""

    # Optional, since a search determines its text.
    dataset: str | None = Field(  # type: ignore[assignment]
        None, max_length=120, description="the search's own unless given"
    )
    search_id: UUID | None = Field(None, description="take the cell that this search found")
    epoch: int | None = Field(None, ge=1, lt=2**31, description="of the search; its latest unless given")
    genotype: str | dict[str, Any] | None = Field(
        None,
        description="instead of a search: a known name, Python text or JSON; `random` draws one",
        examples=["DARTS_V2"],
    )
    genotype_seed: GenotypeSeed = None

    def config(
        self,
        *,
        dataset: str,
        genotype: str | dict[str, Any],
        info: TextInfo | None,
        text: Mapping[str, Any] | None = None,
    ) -> RnnEvaluationConfig:
        """The spec alone, resolved, for this text and cell. info: of an uploaded text.

        text: which one the search used (checksum and version). Raises ConfigError or pydantic's ValidationError.
        """
        given = {k: v for k, v in self.given().items() if k in RnnRetrainingConfig.model_fields}
        given = {**(text or {}), **given, "dataset": dataset, "genotype": genotype}
        if genotype == RANDOM:
            given["genotype_seed"] = self.genotype_seed
        return RnnEvaluationConfig(**given).resolved(info)


AnyEvaluationCreate = Annotated[
    Annotated[EvaluationCreate, Tag("cnn")] | Annotated[RnnEvaluationCreate, Tag("rnn")], Discriminator(family_of_body)
]
