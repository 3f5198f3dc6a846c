"""Defines the fields of a search's spec that name its method and belong to single methods. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

MethodName = Literal[
    "darts",
    "beta-darts",
    "gdas",
    "snas",
    "drnas",
    "drnas-progressive",
    "sdarts-rs",
    "sdarts-adv",
    "darts-minus",
    "pc-darts",
    "fair-darts",
    "p-darts",
    "rsps",
    "r-darts-l2",
    "r-darts-dp",
    "r-darts-es",
    "r-darts-ada",
    "random",
]

_Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
_Temperature = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class MethodFields(BaseModel):
    """The fields of a search's spec that name its method and belong to single methods."""

    method: MethodName = Field("darts", description="the search method; `GET /methods` describes them")
    weights_only_epochs: int = Field(
        0, ge=0, le=100_000, description="number of first epochs in which only the weights are trained"
    )
    partial_channels: int | None = Field(
        None, ge=1, le=64, description="of `pc-darts`: K, where the operations see one of K channels"
    )
    beta_regularisation: _Weight | None = Field(
        None, description="of `beta-darts`: weight of the penalty behind the last epoch; half the epochs by default"
    )
    temperature_start: _Temperature | None = Field(
        None, description="of `gdas` and `snas`: temperature of the first epoch; linear in between"
    )
    temperature_end: _Temperature | None = Field(
        None, description="of `gdas` and `snas`: temperature of the last epoch"
    )
    branch_scale: float | None = Field(
        None, ge=0, le=100, description="of `darts-minus`: weight of the branches in the first epoch"
    )
    branch_schedule: Literal["linear", "cosine", "constant"] | None = Field(
        None, description="of `darts-minus`: how the branches' weight falls"
    )
    perturbation_steps: int | None = Field(
        None, ge=1, le=100, description="of `sdarts-adv`: steps of the search for the worst operation weights"
    )
    zero_one_weight: _Weight | None = Field(
        None, description="of `fair-darts`: weight of the loss that drives operation weights to 0 or 1"
    )
    zero_one_loss: Literal["l2", "l1"] | None = Field(
        None, description="of `fair-darts`: that loss by the squared or the absolute distance from 0.5"
    )
    edge_threshold: float | None = Field(
        None, ge=0, le=1, description="of `fair-darts`: least strength of an edge that the cell keeps"
    )
    perturbation_max: float | None = Field(
        None,
        ge=0,
        le=1,
        description="of `sdarts-rs` and `sdarts-adv`: largest shift of an operation weight behind the last epoch",
    )
    sampled_cells: int | None = Field(
        None, ge=1, le=100_000, description="of `rsps`: random cells that are measured on 10 validation batches each"
    )
    stage_operations: list[Annotated[int, Field(ge=1, le=64)]] | None = Field(
        None,
        min_length=1,
        max_length=16,
        description="of `p-darts` and `drnas-progressive`: for each stage the number of operations that an edge has",
    )
    stage_added_layers: list[Annotated[int, Field(ge=-99, le=99)]] | None = Field(
        None, max_length=16, description="of `p-darts`: for each stage the number of cells besides `layers`"
    )
    stage_skip_dropout: list[Annotated[float, Field(ge=0, lt=1)]] | None = Field(
        None,
        max_length=16,
        description="of `p-darts`: for each stage the highest rate of the dropout of skip-connections",
    )
    stage_partial_channels: list[Annotated[int, Field(ge=1, le=64)]] | None = Field(
        None,
        max_length=16,
        description="of `drnas-progressive`: K of each stage, where the operations see one of K channels",
    )
    most_skip_connects: int | None = Field(
        None, ge=0, le=24, description="of `p-darts`: the largest number of skip-connections in the normal cell"
    )
    alpha_grad_clip: float | None = Field(
        None, gt=0, le=1e6, allow_inf_nan=False, description="of `p-darts`: maximum norm of the alphas' gradient"
    )
    finalists: int | None = Field(
        None, ge=1, le=100_000, description="of `rsps`: the best of these cells, measured on the whole validation split"
    )
    drop_path: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="of `r-darts-dp`: probability in the last epoch that a sample drops an edge; linear from 0",
    )
    growth_limit: float | None = Field(
        None,
        ge=0,
        le=1e6,
        allow_inf_nan=False,
        description="of `r-darts-es` and `r-darts-ada`: the search goes back when the eigenvalue has grown by more",
    )
    rollback_from: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="of `r-darts-es` and `r-darts-ada`: first epoch that the search may go back to",
    )
    weight_decay_factor: float | None = Field(
        None, gt=1, le=1e6, description="of `r-darts-ada`: factor of `weight_decay` when the search goes back"
    )
    weight_decay_max: float | None = Field(
        None, gt=0, le=1000, description="of `r-darts-ada`: largest `weight_decay`, at which it no longer goes back"
    )
