"""The spec of a perturbation-based selection, which follows a search. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field

from darts_core.configs.methods import METHODS
from darts_core.configs.search import SearchConfig
from darts_core.configs.stages import stages_of
from darts_core.data.catalogue import DatasetInfo
from darts_core.errors import ConfigError, Problem
from darts_core.primitives import edges_of
from darts_core.spaces import SPACES, Space
from darts_core.spaces.nasbench201 import NAME as NASBENCH201

_WATCHES: Final = (
    "stop_when",
    "hessian_every",
    "growth_limit",
    "rollback_from",
    "weight_decay_factor",
    "weight_decay_max",
)
"""Fields that end a search early or send it back."""
_CHANGED: Final = frozenset(
    {"epochs", "extensions", "init_from", "weight_lr", "weight_lr_min", "schedule", "stop_from", "guard", *_WATCHES}
)
"""Fields that the selection does not take from its search."""
OWN: Final = frozenset({"select", "selection_interval", "selection_criterion", "search_epoch", "search_epochs"})
_RUN: Final = frozenset({"checkpoint_every", "checkpoint_seconds", "threads", "deterministic", "fused", "cuda_graph"})
"""Fields about how the job runs, which may differ from the search's."""


def interval_field() -> Any:
    """The field `selection_interval`."""
    return Field(5, ge=1, le=1000, description="epochs of tuning between two projections")


def criterion_field() -> Any:
    """The field `selection_criterion`."""
    return Field("accuracy", description="of the validation split, by which operations and edges are chosen")


class PerturbationConfig(SearchConfig):
    """A selection of a cell by perturbation: DARTS-PT (arXiv:2108.04392), algorithm 1.

    The other fields are the search's, except those of the weights' tuning: a tenth of its learning rate, which falls to
    its minimum over the selection's epochs; in NAS-Bench-201's space it stays, as in the authors' code. The number of
    epochs follows from the cell.
    """

    select: Literal["perturbation"]
    selection_interval: int = interval_field()
    selection_criterion: Literal["accuracy", "loss"] = criterion_field()
    search_epochs: int = Field(ge=1, description="the epochs of the search's spec")
    search_epoch: int = Field(ge=1, description="the epoch of the search's checkpoint")

    def resolved(self, info: DatasetInfo | None = None) -> PerturbationConfig:
        """Return this spec, whose values `perturbation_of` has filled in."""
        return self

    def check_gpus(self, gpus: int) -> None:
        """Raises ConfigError for several GPUs."""
        if gpus > 1:
            raise ConfigError([Problem(("gpus",), f"a selection runs on 1 GPU, not on {gpus}")])

    @property
    def cell_space(self) -> Space:
        """The space whose kinds of cells the selection makes."""
        return SPACES[self.space or "darts"]

    @property
    def thinned(self) -> range:
        """The nodes that keep two of their edges; in NAS-Bench-201's cell, which keeps all edges, none."""
        return range(0) if self.space == NASBENCH201 else range(1, self.nodes)

    @property
    def projection_epochs(self) -> list[int]:
        """The epochs, counted from 1, that begin with a projection; the last one is the selection's last.

        One projection for each edge's operation and for the edges of each thinned node, every `selection_interval`
        epochs. As in the authors' code, the last one in NAS-Bench-201's space comes an epoch earlier, if it can.
        """
        count = edges_of(self.nodes, self.cell_space.inputs) + len(self.thinned)
        epochs = [1 + self.selection_interval * number for number in range(count)]
        if self.space == NASBENCH201:
            epochs[-1] = max(epochs[-1] - 1, count)
        return epochs

    def search(self) -> SearchConfig:
        """The spec of the search, up to the fields that the selection changes."""
        values = {name: getattr(self, name) for name in SearchConfig.model_fields}
        return SearchConfig(**{**values, "epochs": self.search_epochs})


def perturbation_of(search: SearchConfig, epoch: int, given: Mapping[str, Any]) -> PerturbationConfig:
    """The spec of a selection that follows this epoch of a search of this resolved spec.

    given: the request's fields. Raises ConfigError with every field that contradicts the search's, and for a search
    that has no alphas or is a selection itself.
    """
    if isinstance(search, PerturbationConfig):
        raise ConfigError([Problem(("search_id",), "is a selection itself: give its search")])
    if not METHODS[search.method].trains_alphas:
        raise ConfigError([Problem(("search_id",), f"is of method {search.method}, which trains no alphas")])
    if len(stages_of(dict(search))) > 1:
        raise ConfigError([Problem(("search_id",), "searches in stages, whose last network has fewer operations")])
    if search.edge_skips:
        message = f"is of the space {search.space}, whose skip-connections no selection removes"
        raise ConfigError([Problem(("search_id",), message)])
    values = {name: getattr(search, name) for name in SearchConfig.model_fields}
    problems = [
        Problem((name,), _refusal(name, values))
        for name, value in given.items()
        if name not in OWN | _RUN and (name in _CHANGED or value != values.get(name))
    ]
    if problems:
        raise ConfigError(problems)
    own = {name: value for name, value in given.items() if name in OWN | _RUN}
    tuning_lr = search.weight_lr / 10
    config = PerturbationConfig(
        **{
            **values,
            "schedule": "cosine",
            "weight_lr": tuning_lr,
            "weight_lr_min": tuning_lr if search.space == NASBENCH201 else min(search.weight_lr_min, tuning_lr),
            "stop_from": 1,
            "guard": "off",
            "extensions": [],
            "init_from": None,
            **dict.fromkeys(_WATCHES),
            **own,
            "select": "perturbation",
            "search_epochs": search.epochs,
            "search_epoch": epoch,
        }
    )
    return config.model_copy(update={"epochs": config.projection_epochs[-1]})


def search_config_of(spec: Mapping[str, Any]) -> SearchConfig:
    """The spec of a search or a selection. Raises ValidationError."""
    return PerturbationConfig(**spec) if spec.get("select") is not None else SearchConfig(**spec)


def _refusal(name: str, values: Mapping[str, Any]) -> str:
    if name in _CHANGED:
        return "follows from the search in a selection: leave it out"
    return f"is {values.get(name)!r} in the search: leave it out"
