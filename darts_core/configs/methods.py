"""Describes the search methods: source, fields with their authors' defaults, limits, figures. Imports no torch.

`darts_core.methods` implements them. A spec names a method and holds the values of its fields; a field of another
method is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from darts_core.configs.stages import divisors, shares, stage_epochs, stage_problems
from darts_core.errors import ConfigError, Problem
from darts_core.spaces import CnnSpace

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

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Computed:
    """A default that follows from the spec's other values. text: its rule in words."""

    text: str
    rule: Callable[[Values], Any]

    def __call__(self, values: Values) -> Any:
        return self.rule(values)


@dataclass(frozen=True)
class Published:
    """A figure that the authors report, with its source."""

    figure: str
    source: str


@dataclass(frozen=True)
class Method:
    """One search method.

    fields: the spec's fields that belong to it, with their defaults. defaults: values of common fields that the method
    starts from in place of its preset's. families, orders, most_gpus: those that it supports. cost: of a step, against
    first-order DARTS. levels: `both`, if the alphas are trained on data of their own; `one`, if alphas and weights are
    trained on the same batches. trains: whether it trains anything. targets: whether a spec's `target` applies.
    trains_alphas: whether it trains alphas. space: where it searches convolutional cells if the spec names neither
    space, primitives nor edges.
    """

    name: MethodName
    title: str
    source: str
    summary: str
    cost: str
    fields: Mapping[str, float | str | Computed] = field(default_factory=dict)
    published: tuple[Published, ...] = ()
    families: tuple[Literal["cnn", "rnn"], ...] = ("cnn",)
    orders: tuple[Literal[1, 2], ...] = (1,)
    most_gpus: int | None = None
    levels: Literal["both", "one"] = "both"
    trains: bool = True
    targets: bool = True
    trains_alphas: bool = True
    defaults: Mapping[str, float] = field(default_factory=dict)
    space: CnnSpace = "darts"


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


METHODS: Final[Mapping[MethodName, Method]] = {
    method.name: method
    for method in (
        Method(
            "darts",
            "DARTS",
            "arXiv:1806.09055",
            "Mixes all operations of an edge by the softmax of its alphas.",
            "1",
            {},
            (Published("CIFAR-10 test error 3.00 % (first order), 2.76 % (second order)", "paper, table 1"),),
            families=("cnn", "rnn"),
            orders=(1, 2),
        ),
        Method(
            "beta-darts",
            "beta-DARTS",
            "arXiv:2203.01665",
            "Adds the mean logarithm of the summed exponentials of each edge's alphas to the validation loss, with a "
            "weight that grows from 0.",
            "1",
            {"beta_regularisation": Computed("half the epochs", lambda values: values["epochs"] / 2)},
            (Published("CIFAR-10 test error 2.53 +- 0.08 %", "paper"),),
            families=("cnn", "rnn"),
        ),
        Method(
            "gdas",
            "GDAS",
            "arXiv:1910.04465",
            "Samples one operation for each edge and step, and computes no other.",
            "about 1 / number of operations",
            {"temperature_start": 10.0, "temperature_end": 0.1},
            most_gpus=1,
            families=("cnn", "rnn"),
        ),
        Method(
            "snas",
            "SNAS",
            "arXiv:1812.09926",
            "Mixes all operations by weights that are drawn anew in each step, on one level: alphas and weights are "
            "trained on the same batches.",
            "1",
            {"temperature_start": 1.0, "temperature_end": 0.03},
            (Published("CIFAR-10 test error 2.85 +- 0.02 %", "paper"),),
            levels="one",
        ),
        Method(
            "drnas",
            "DrNAS",
            "arXiv:2006.10355",
            "Draws the weights of an edge's operations from a Dirichlet distribution whose concentrations are trained.",
            "1",
            {},
            (Published("CIFAR-10 test error 2.54 +- 0.03 % (2.46 +- 0.03 % with progressive stages)", "paper"),),
        ),
        Method(
            "drnas-progressive",
            "DrNAS, progressive",
            "arXiv:2006.10355",
            "Searches as DrNAS does in stages: on one of K channels, then on more channels with fewer operations on "
            "each edge, whose weights are widened.",
            "about 1 / K in memory",
            {
                "stage_operations": Computed(
                    "all and 4/7 of the primitives, rounded up, in at most as many stages as epochs",
                    lambda values: shares(values, (1, 4 / 7), 2),
                ),
                "stage_partial_channels": Computed(
                    "6 and 4, or the largest divisors of the channels below", lambda values: divisors(values, (6, 4))
                ),
                "weights_only_epochs": Computed(
                    "two fifths of a stage's epochs", lambda values: 2 * stage_epochs(values) // 5
                ),
            },
            (Published("CIFAR-10 test error 2.46 +- 0.03 %", "paper"),),
            space="darts-no-none",
        ),
        Method(
            "sdarts-rs",
            "SmoothDARTS, random smoothing",
            "arXiv:2002.05283",
            "Trains the weights at operation weights that are shifted at random, by more from epoch to epoch.",
            "1",
            {"perturbation_max": 0.3},
            families=("cnn", "rnn"),
            orders=(1, 2),
        ),
        Method(
            "sdarts-adv",
            "SmoothDARTS, adversarial",
            "arXiv:2002.05283",
            "Trains the weights at the operation weights nearby that are worst for the training batch.",
            "about 4",
            {"perturbation_max": 0.3, "perturbation_steps": 7},
            most_gpus=1,
        ),
        Method(
            "darts-minus",
            "DARTS-",
            "arXiv:2009.01027",
            "Adds a skip-connection to each edge besides its mixed operations, which fades out over the epochs.",
            "1",
            {"branch_scale": 1.0, "branch_schedule": "linear"},
        ),
        Method(
            "pc-darts",
            "PC-DARTS",
            "arXiv:1907.05737",
            "Computes each operation on one of K channels, and weighs whole edges by alphas of their own.",
            "about 1 / K in memory",
            {
                "partial_channels": 4,
                "weights_only_epochs": Computed(
                    "three tenths of the epochs", lambda values: 3 * values["epochs"] // 10
                ),
            },
            (Published("CIFAR-10 test error 2.57 +- 0.07 %", "paper"),),
        ),
        Method(
            "fair-darts",
            "FairDARTS",
            "arXiv:1911.12126",
            "Weighs each operation by the sigmoid of its alpha, drives these weights to 0 or 1 by a loss, and keeps "
            "the edges above a threshold: nodes have 0 to 2.",
            "1",
            {"zero_one_weight": 10.0, "zero_one_loss": "l2", "edge_threshold": 0.85},
            (Published("CIFAR-10 test accuracy 97.46 +- 0.05 %, mean of 7 searches", "authors' README"),),
            targets=False,
            space="darts-no-none",
        ),
        Method(
            "p-darts",
            "P-DARTS",
            "arXiv:1904.12760",
            "Searches in stages, each with a new and deeper network and fewer operations on each edge, and limits "
            "skip-connections.",
            "1, in deeper networks",
            {
                "stage_operations": Computed(
                    "all, 5/8 and 3/8 of the primitives, rounded up, in at most as many stages as epochs",
                    lambda values: shares(values, (1, 5 / 8, 3 / 8), 3),
                ),
                "stage_added_layers": Computed(
                    "0, 6 and 12", lambda values: [0, 6, 12, *[12] * 16][: len(values["stage_operations"])]
                ),
                "stage_skip_dropout": Computed(
                    "0.1, 0.4 and 0.7", lambda values: [0.1, 0.4, 0.7, *[0.7] * 16][: len(values["stage_operations"])]
                ),
                "weights_only_epochs": Computed(
                    "two fifths of a stage's epochs", lambda values: 2 * stage_epochs(values) // 5
                ),
                "most_skip_connects": 2,
                "alpha_grad_clip": 5.0,
            },
            (Published("CIFAR-10 test error 2.50 %", "paper"),),
        ),
        Method(
            "rsps",
            "Random search with weight sharing",
            "arXiv:1902.07638",
            "Trains one random path of the supernet a step, without alphas; then takes the best of many random cells "
            "by their validation accuracy.",
            "about 1 / number of operations",
            {
                "sampled_cells": Computed(
                    "20 an epoch, at most 1,000", lambda values: min(1000, 20 * int(values["epochs"]))
                ),
                "finalists": Computed("10, or all of fewer cells", lambda values: min(10, values["sampled_cells"])),
            },
            (Published("CIFAR-10 test error 2.85 +- 0.08 %", "paper"),),
            most_gpus=1,
            targets=False,
            trains_alphas=False,
        ),
        Method(
            "r-darts-l2",
            "R-DARTS, weight decay",
            "arXiv:1909.09656",
            "Decays the weights more.",
            "1",
            orders=(1, 2),
            defaults={"weight_decay": 81e-4},
        ),
        Method(
            "r-darts-dp",
            "R-DARTS, drop-path",
            "arXiv:1909.09656",
            "Drops whole edges at random, sample by sample, and cuts squares out of images, more from epoch to epoch.",
            "1",
            {"drop_path": 0.2},
            orders=(1, 2),
            most_gpus=1,
        ),
        Method(
            "r-darts-es",
            "R-DARTS, early stop",
            "arXiv:1909.09656",
            "Stops when the Hessian's dominant eigenvalue grows, and returns the cell from before.",
            "1, and an eigenvalue every second epoch",
            {"growth_limit": 1.3, "rollback_from": 10},
            orders=(1, 2),
            most_gpus=1,
            defaults={"hessian_every": 2},
        ),
        Method(
            "r-darts-ada",
            "R-DARTS, adaptive weight decay",
            "arXiv:1909.09656",
            "Goes back to the epoch before that eigenvalue grew, and trains on with a larger weight decay.",
            "1, an eigenvalue every second epoch, and the epochs that are trained again",
            {"growth_limit": 1.3, "rollback_from": 10, "weight_decay_factor": 3.0, "weight_decay_max": 243e-4},
            orders=(1, 2),
            most_gpus=1,
            defaults={"hessian_every": 2},
        ),
        Method(
            "random",
            "Random cell",
            "the baseline",
            "Draws a cell by the seed and trains nothing.",
            "0",
            families=("cnn", "rnn"),
            trains=False,
            targets=False,
            trains_alphas=False,
        ),
    )
}

_EVERY: Final = frozenset({"weights_only_epochs"})
"""Fields of all methods that train alphas."""

METHOD_FIELDS: Final = frozenset(name for method in METHODS.values() for name in method.fields) - _EVERY


def fields_of(method: Method) -> dict[str, float | str | Computed]:
    """The fields of MethodFields that the method takes, with their defaults."""
    every = {name: MethodFields.model_fields[name].default for name in sorted(_EVERY)} if method.trains_alphas else {}
    return {**method.fields, **{name: value for name, value in every.items() if name not in method.fields}}


def fill_method(values: dict[str, Any], family: Literal["cnn", "rnn"]) -> list[Problem]:
    """Set the unset fields of the spec's method to its defaults. Returns a problem for each field of another method,
    and for an order or a family that the method lacks.
    """
    method = METHODS[values.get("method", "darts")]
    problems = []
    for name in sorted(METHOD_FIELDS - set(method.fields)):
        if values.get(name) is not None:
            owners = ", ".join(m.name for m in METHODS.values() if name in m.fields)
            problems.append(Problem((name,), f"is a field of {owners}, not of {method.name}"))
    if family not in method.families:
        able = ", ".join(m.name for m in METHODS.values() if family in m.families)
        problems.append(Problem(("method",), f"{method.name} searches no {_CELLS[family]} cells; these do: {able}"))
    if values.get("order", 1) not in method.orders:
        problems.append(Problem(("order",), f"{method.name} has no second order; darts has"))
    if not method.trains:
        values["epochs"] = 1
    for name, default in {**method.fields, **method.defaults}.items():
        if name not in values or values[name] is None:
            values[name] = default(values) if callable(default) else default
    if method.name == "darts-minus":
        if "skip_connect" not in (values.get("primitives") or ["skip_connect"]):
            problems.append(Problem(("primitives",), "darts-minus needs skip_connect among them"))
        elif values.get("edges"):
            problems.append(Problem(("edges",), "darts-minus needs skip_connect on every edge: leave them out"))
    partial, channels = values.get("partial_channels") or 1, values.get("channels", 0)
    if channels % (2 * partial):
        message = f"{partial} does not divide {channels} channels into parts of an even number"
        problems.append(Problem(("partial_channels",), message))
    problems += _eigenvalue_problems(method, values)
    first = values.get("weights_only_epochs", 0)
    if first and not method.trains_alphas:
        lacks = "alphas" if method.trains else "weights"
        problems.append(Problem(("weights_only_epochs",), f"{method.name} trains no {lacks}: leave it out"))
    elif first >= stage_epochs(values):
        of = "epochs" if stage_epochs(values) == values["epochs"] else "epochs of a stage"
        message = f"{first} of {stage_epochs(values)} {of} leave none that trains the alphas"
        problems.append(Problem(("weights_only_epochs",), message))
    if method.trains and not method.trains_alphas:
        problems += [
            Problem((name,), f"{method.name} trains no alphas: leave it out")
            for name in ("hessian_every", "stop_when")
            if values.get(name) is not None
        ]
    problems += stage_problems(values)
    sampled, finalists = values.get("sampled_cells"), values.get("finalists")
    if sampled is not None and finalists is not None and finalists > sampled:
        problems.append(Problem(("finalists",), f"{finalists} are more than the {sampled} sampled cells"))
    return problems


def method_defaults(name: str) -> dict[str, float]:
    """Values of common fields that the method starts from in place of a preset's; none of an unknown method."""
    return dict(METHODS[name].defaults) if name in METHODS else {}  # type: ignore[index]


def _eigenvalue_problems(method: Method, values: Values) -> list[Problem]:
    """Refuse a second limit of the eigenvalue's growth, and a largest weight decay below the first."""
    problems = []
    if "growth_limit" in method.fields and "eigenvalue_growth" in (values.get("stop_when") or {}):
        message = f"{method.name} has growth_limit for it"
        problems.append(Problem(("stop_when", "eigenvalue_growth"), message))
    most = values.get("weight_decay_max")
    decay = values.get("weight_decay", 0.0)
    if most is not None and "weight_decay_max" in method.fields and most < decay:
        problems.append(Problem(("weight_decay_max",), f"is below weight_decay, {decay:g}"))
    return problems


def check_method_gpus(name: MethodName, gpus: int) -> None:
    """Raise ConfigError for more GPUs than the method supports."""
    most = METHODS[name].most_gpus
    if most is not None and gpus > most:
        raise ConfigError([Problem(("gpus",), f"{name} searches on {most} GPU, not on {gpus}")])


_CELLS: Final = {"cnn": "convolutional", "rnn": "recurrent"}
