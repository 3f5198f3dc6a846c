"""Describes the search methods: source, fields with their authors' defaults, limits, figures. Imports no torch.

`darts_core.methods` implements them. A spec names a method and holds the values of its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from darts_core.configs.method_fields import MethodName
from darts_core.configs.stages import divisors, shares, stage_epochs
from darts_core.spaces import CnnSpace
from darts_core.spaces.nasbench201 import NAME as NASBENCH201

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
    trains_alphas: whether it trains alphas. softmax: whether an edge's strengths are the softmax of its alphas. space:
    where it searches convolutional cells if the spec names neither space, primitives nor edges.
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
    softmax: bool = True
    defaults: Mapping[str, float] = field(default_factory=dict)
    space: CnnSpace = "darts"

    @property
    def changes_depth(self) -> bool:
        """Whether its stages add cells."""
        return "stage_added_layers" in self.fields


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
            softmax=False,
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
                    "6 and 4, in nasbench201 4 and 2, or the largest divisors of the channels below",
                    lambda values: divisors(values, (4, 2) if values.get("space") == NASBENCH201 else (6, 4)),
                ),
                "weights_only_epochs": Computed(
                    "two fifths of a stage's epochs, in nasbench201 one",
                    lambda values: (1 if values.get("space") == NASBENCH201 else 2) * stage_epochs(values) // 5,
                ),
            },
            (Published("CIFAR-10 test error 2.46 +- 0.03 %", "paper"),),
            softmax=False,
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
            softmax=False,
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
