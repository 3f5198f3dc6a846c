"""The spec of a search for a recurrent cell. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from darts_core.configs.common import SMALLEST_SHARE, NonNegative, Rate
from darts_core.configs.early import Comparison, RnnSign, StopFrom, early_problems
from darts_core.configs.extensions import extension_problems
from darts_core.configs.init_from import fill_start
from darts_core.configs.method_fields import MethodFields
from darts_core.configs.method_rules import fill_method
from darts_core.configs.search import BatchSize, Unrolled, fill_primitives, order_of_unrolled
from darts_core.configs.text import TextTrainingConfig, columns_problems, fill_text, text_problems
from darts_core.data.text.catalogue import TextInfo, text_preset_of
from darts_core.errors import ConfigError
from darts_core.presets.cnn import preset_values
from darts_core.presets.rnn import RNN_SEARCH_PRESETS
from darts_core.primitives import RNN_SPACES, RnnPrimitive, RnnSpace


class RnnSearchConfig(MethodFields, TextTrainingConfig):
    """A differentiable search for a recurrent cell. DARTS (arXiv:1806.09055), sections 2 and A.1.2."""

    space: RnnSpace | None = Field(
        None, description="a named set of primitives; default: `rnn`, if `primitives` is unset"
    )
    primitives: list[RnnPrimitive] | None = Field(
        None, min_length=1, max_length=64, description="the candidate operations, in order"
    )
    order: Literal[1, 2] = Field(1, description="1: the alpha gradient at the current weights; 2: unrolled by one step")
    unrolled: Unrolled = None
    _order_of_unrolled = model_validator(mode="before")(order_of_unrolled)
    virtual_embedding: Literal["moved", "fixed"] = Field(
        "moved",
        description="for order 2: whether the virtual step moves the tied embedding (the paper's equation) or leaves "
        "it fixed (the authors' code)",
    )
    epochs: int = Field(50, ge=1, le=100_000)
    batch_size: BatchSize = Field(256, description="columns that the training and the alphas' text are cut into")
    hidden_size: int = Field(300, ge=1, le=16_384, description="size of embedding, state and output")
    nodes: int = Field(8, ge=1, le=12, description="nodes of a cell, besides its initial state")
    cuda_graph: bool = Field(
        True,
        description="on a GPU, record a step's gradients once for each length of windows and launch them as CUDA "
        "graphs: the same bits; false: kernel by kernel",
    )
    alpha_lr: Rate = 3e-3
    alpha_weight_decay: NonNegative = 1e-3
    stop_when: dict[RnnSign, Comparison] | None = Field(
        None,
        min_length=1,
        description="end the search after the first epoch that meets one of these conditions: the number of identity "
        "operations, or the mean entropy of the alphas in nats",
        examples=[{"identities": ">3"}],
    )
    stop_from: StopFrom = 1

    def resolved(self, info: TextInfo | None = None) -> RnnSearchConfig:
        """Return the spec with every value filled in; unset values come from its preset.

        info: of an uploaded text. Raises ConfigError with every problem, field by field.
        """
        problems = text_problems(self.dataset, self.text_checksum, info)
        preset = self.preset or text_preset_of(self.dataset, RNN_SEARCH_PRESETS)
        values = {**preset_values(RNN_SEARCH_PRESETS, preset, self.preset_version), **self.given_values()}
        fill_text(values, info)
        problems += fill_primitives(values, RNN_SPACES, "rnn")
        problems += fill_method(values, "rnn")
        problems += early_problems(values)
        problems += extension_problems(values)
        problems += fill_start(values)
        batches = {name: values[name] for name in ("batch_size", "validation_batch_size")}
        problems += columns_problems(batches, self.dataset, info, least=SMALLEST_SHARE, alphas=True)
        if problems:
            raise ConfigError(problems)
        return RnnSearchConfig(**values)
