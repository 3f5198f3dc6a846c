"""The spec of a search. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, ValidationInfo, model_validator

from darts_core.configs.common import (
    Channels,
    NonNegative,
    Rate,
    TrainingConfig,
    accumulation_problems,
    channel_problems,
    check_shares,
    dataset_problems,
    fill_stem,
    fitting_batch,
    known_info,
    part_size,
    reduction_problems,
    split_problems,
)
from darts_core.configs.decoder import decoder_problems
from darts_core.configs.early import CnnSign, Comparison, StopFrom, check_hessian, early_problems
from darts_core.configs.edge_lists import Edges, fill_edges
from darts_core.configs.extensions import extension_problems
from darts_core.configs.guard import Guard, guard_problems
from darts_core.configs.init_from import fill_start
from darts_core.configs.method_fields import MethodFields
from darts_core.configs.method_rules import check_method_gpus, fill_method, method_defaults
from darts_core.configs.methods import METHODS, Method
from darts_core.configs.nasbench201 import STEM, depth_refusal, foreign_primitives, search_problems
from darts_core.configs.primitive_names import PrimitiveName
from darts_core.configs.target import Target, check_target, target_problems
from darts_core.data.catalogue import BUILT_IN, DatasetInfo, preset_of
from darts_core.errors import ConfigError, Problem
from darts_core.presets.cnn import SEARCH_PRESETS, preset_of_search, preset_values
from darts_core.primitives import EdgeLists
from darts_core.spaces import SPACES, CnnSpace, Space, space_of
from darts_core.spaces.nasbench201 import NAME as NASBENCH201


def _agrees_with_order(unrolled: bool | None, info: ValidationInfo) -> None:
    order = info.data.get("order")
    if unrolled is not None and order is not None and unrolled != (order == 2):
        raise ValueError(f"{str(unrolled).lower()} contradicts order {order}: give one of them")


Unrolled = Annotated[
    bool | None,
    Field(exclude=True, description="alternative to `order`: true is 2, false is 1"),
    AfterValidator(_agrees_with_order),
]
"""Accepted on input; always None in a validated spec."""


def order_of_unrolled(values: Any) -> Any:
    """Validator: replaces `unrolled` by `order` when only `unrolled` is given."""
    if not isinstance(values, dict) or values.get("unrolled") is None or "order" in values:
        return values
    try:
        unrolled = _BOOL.validate_python(values["unrolled"])
    except ValidationError:
        return values  # field validation refuses it
    return {**values, "unrolled": None, "order": 2 if unrolled else 1}


_BOOL: Final = TypeAdapter(bool)
BatchSize = Annotated[int, Field(ge=2, le=65_536)]


class SearchConfig(MethodFields, TrainingConfig):
    """A differentiable architecture search. DARTS (arXiv:1806.09055), sections 2 and A.1."""

    space: CnnSpace | None = Field(
        None, description="a named set of primitives; default: `darts`, if `primitives` is unset"
    )
    primitives: list[PrimitiveName] | None = Field(
        None, min_length=1, max_length=64, description="the candidate operations, in order"
    )
    edges: Edges | None = Field(
        None,
        description="for `normal` and `reduce` cells the operations of each edge, by node and source; by default all "
        "primitives",
    )
    order: Literal[1, 2] = Field(1, description="1: the alpha gradient at the current weights; 2: unrolled by one step")
    unrolled: Unrolled = None
    _order_of_unrolled = model_validator(mode="before")(order_of_unrolled)
    epochs: int = Field(50, ge=1, le=100_000)
    batch_size: BatchSize = 64
    channels: Channels = Field(16, description="channels of the first cells; doubled at each reduction")
    layers: int = Field(8, ge=1, le=100, description="number of cells, including `reductions`")
    nodes: int = Field(4, ge=1, le=8, description="intermediate nodes of a cell")
    fused: bool = Field(
        True,
        description="compute all edges from a state together: equal up to rounding, several times faster; false: each "
        "operation on its own, as a reference",
    )
    cuda_graph: bool = Field(
        True,
        description="on a GPU, record the fused step once and launch it as a CUDA graph: the same bits, without the "
        "launch of thousands of kernels; false: kernel by kernel",
    )
    alpha_lr: Rate = 3e-4
    alpha_weight_decay: NonNegative = 1e-3
    train_portion: float = Field(
        0.5, gt=0, lt=1, description="share of the training images that trains the weights; the rest trains the alphas"
    )
    stop_when: dict[CnnSign, Comparison] | None = Field(
        None,
        min_length=1,
        description="end the search after the first epoch that meets one of these conditions: on operation counts of "
        "the normal cell, on the mean entropy of its alphas in nats, or on the eigenvalue of `hessian_every`",
        examples=[{"skip_connects": ">2"}],
    )
    stop_from: StopFrom = 1
    guard: Guard = Field(
        "off",
        description="auto: watch the search for signs of collapse; go back to the last good epoch and penalise large "
        "alphas when they last, and stop when they come again",
    )
    target: Target | None = Field(
        None,
        min_length=1,
        description="costs that the alphas' loss weighs against accuracy: `multiply_adds`, `parameters` and "
        "`latency_ms`, each with a `weight`, a limit `at_most` or both; a number is a limit",
        examples=[{"multiply_adds": {"weight": 0.3}}],
    )
    hessian_every: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="after every k-th epoch, measure the dominant eigenvalue of the Hessian of the validation loss in "
        "the alphas",
    )

    def resolved(self, info: DatasetInfo | None = None) -> SearchConfig:
        """Return the spec with every value filled in; unset values come from its preset.

        info: of the data set, required for an uploaded one. Raises ConfigError with every problem, field by field.
        """
        problems = dataset_problems(self.dataset, self.dataset_checksum, info)
        preset = self.preset or preset_of(self.dataset, SEARCH_PRESETS)
        if self.preset is None and self.dataset in BUILT_IN:
            preset = preset_of_search(preset, self.method, self.space)
        preset_given = preset_values(SEARCH_PRESETS, preset, self.preset_version)
        given = self.given_values()
        method = METHODS[{**preset_given, **given}.get("method", "darts")]
        space = SPACES[self.space or preset_given.get("space") or method.space]
        values = {
            **preset_given,
            **space.fields,
            **({} if space.nodes is None else {"nodes": space.nodes}),
            **method_defaults(method.name),
            **given,
        }
        if space.nodes is not None and values["nodes"] != space.nodes:
            problems.append(Problem(("nodes",), f"a cell of space {space.name!r} has {space.nodes}: leave it out"))
        info = known_info(values, info)
        values["dataset_checksum"] = info.checksum if info else self.dataset_checksum
        in_nasbench201 = space.name == NASBENCH201
        if in_nasbench201:
            values.setdefault("stem", STEM)
        fill_stem(values, info)
        parts = _parts(values["train_portion"])
        if info is not None and "batch_size" not in given:
            values["batch_size"] = fitting_batch(values["batch_size"], parts, info)
        problems += decoder_problems(self.decoder, self.dataset)
        problems += accumulation_problems(values)
        problems += search_problems(values) if in_nasbench201 else reduction_problems(values)
        problems += [] if in_nasbench201 else fill_edges(values, space)
        problems += fill_primitives(values, {name: space.primitives for name, space in SPACES.items()}, method.space)
        problems += fill_method(values, "cnn")
        problems += foreign_primitives(space.name, values)
        problems += _method_problems(method, space, values)
        problems += channel_problems(values)
        problems += target_problems(values, supported=method.targets)
        if values.get("order") == 2 and "noise" in (values["primitives"] or []):
            problems.append(Problem(("order",), "noise differs from pass to pass: the second order compares passes"))
        problems += early_problems(values)
        problems += extension_problems(values)
        problems += fill_start(values)
        problems += guard_problems(values, method)
        problems += split_problems(values["batch_size"], parts, info)
        if problems:
            raise ConfigError(problems)
        return SearchConfig(**values)

    @property
    def lists(self) -> EdgeLists:
        """For kinds of cells the operations of each edge; empty, if all edges have all primitives."""
        return {str(kind): lists for kind, lists in (self.edges or {}).items()}

    @property
    def outputs(self) -> int:
        """The number of the last nodes that the output of a cell concatenates."""
        space = space_of(self.space)
        return (space and space.outputs) or self.nodes

    @property
    def edge_skips(self) -> bool:
        """Whether each edge adds a skip-connection to its operations."""
        space = space_of(self.space)
        return space is not None and space.edge_skips

    def check_gpus(self, gpus: int) -> None:
        """Raises ConfigError where the GPUs cannot share every batch, or the method or the eigenvalue needs a single
        one.
        """
        check_shares(self.batch_size, gpus)
        check_method_gpus(self.method, gpus)
        check_hessian(self.hessian_every, gpus)
        check_target(self.target, gpus)

    def split_sizes(self, images: int) -> tuple[int, int]:
        """Number of training images for the weights and for the alphas."""
        weights = part_size(images, self.train_portion)
        return weights, images - weights


def _method_problems(method: Method, space: Space, values: Mapping[str, Any]) -> list[Problem]:
    """Refuse a method whose networks or cells the space does not have."""
    if space.name == NASBENCH201 and method.changes_depth:
        return [Problem(("method",), depth_refusal(method.name))]
    if space.edge_skips and values.get("stage_operations") is not None:
        return [Problem(("method",), f"{method.name} in stages is not of space {space.name!r}: choose another method")]
    if space.outputs is not None and method.name == "fair-darts":
        message = f"{method.name} may empty all nodes that a cell of space {space.name!r} puts out"
        return [Problem(("method",), f"{message}: choose another method")]
    return []


def _parts(train_portion: float) -> dict[str, float]:
    return {"weight-training": train_portion, "alpha-training": 1 - train_portion}


def fill_primitives(values: dict[str, Any], spaces: Mapping[Any, Sequence[str]], default: str) -> list[Problem]:
    """Set `primitives` from the space, by default the family's default space. Returns the problem, if any."""
    space, primitives = values.get("space"), values.get("primitives")
    if primitives is None:
        values["space"] = space or default
        values["primitives"] = list(spaces[values["space"]])
        return []
    if space is not None and list(spaces[space]) != primitives:
        return [Problem(("primitives",), f"differ from those of space {space!r}: give one or the other")]
    if len(set(primitives)) != len(primitives):
        return [Problem(("primitives",), "each primitive can be named once")]
    if primitives == ["none"]:
        return [Problem(("primitives",), "at least one primitive other than 'none' is needed")]
    return []
