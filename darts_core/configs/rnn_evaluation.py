"""The spec of an evaluation of a recurrent cell: retraining as a language model. Imports no torch."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from darts_core.configs.common import NonNegative
from darts_core.configs.drawn_cell import genotype_json, with_drawn_cell
from darts_core.configs.extensions import extension_problems
from darts_core.configs.init_from import fill_start
from darts_core.configs.text import TextTrainingConfig, columns_problems, fill_text, text_problems
from darts_core.data.text.catalogue import TextInfo, text_preset_of
from darts_core.errors import ConfigError, Problem
from darts_core.genotypes import RecurrentGenotype, parse
from darts_core.presets.cnn import preset_values
from darts_core.presets.rnn import RNN_EVALUATION_PRESETS


class RnnRetrainingConfig(TextTrainingConfig):
    """Hyper-parameters of retraining, without the genotype. DARTS (arXiv:1806.09055), sections 3.2 and A.2.2."""

    epochs: int = Field(8000, ge=1, le=100_000)
    batch_size: int = Field(64, ge=1, le=65_536, description="columns that the training text is cut into")
    small_batch_size: int | None = Field(
        None, ge=1, description="columns computed at once, accumulating gradients; default: all"
    )
    hidden_size: int = Field(850, ge=1, le=16_384, description="size of embedding, state and output")
    weight_decay: NonNegative = 8e-7
    dropout_word: float = Field(0.1, ge=0, lt=1, description="dropout of whole words' embeddings")
    averaging_patience: int = Field(
        5,
        ge=1,
        le=100_000,
        description="SGD becomes averaged SGD once validation is worse than its best of more than this many epochs ago",
    )
    cuda_graph: bool = Field(
        True,
        description="on a GPU, record the step once for each length of windows and launch it as a CUDA graph: the same "
        "bits; false: kernel by kernel",
    )
    test_batch_size: int = Field(1, ge=1, le=65_536, description="columns that the test text is cut into")

    @property
    def part_size(self) -> int:
        """Columns computed at once."""
        return self.small_batch_size or self.batch_size


class RnnEvaluationConfig(RnnRetrainingConfig):
    """Retraining of one recurrent genotype from scratch."""

    genotype: dict[str, Any] = Field(
        description="a known name, Python text, JSON, or `random`; stored as JSON", examples=["DARTS_V2"]
    )

    @model_validator(mode="before")
    @classmethod
    def _draw_genotype(cls, values: Any) -> Any:
        return with_drawn_cell(values, "rnn")

    @field_validator("genotype", mode="before")
    @classmethod
    def _read_genotype(cls, value: Any) -> Any:
        return genotype_json(value, "rnn", "a known name, Python text or a JSON object")

    def cell(self) -> RecurrentGenotype:
        return parse(self.genotype, "rnn")

    def resolved(self, info: TextInfo | None = None) -> Self:
        """Return the spec with every value filled in; unset values come from its preset.

        info: of an uploaded text. Raises ConfigError with every problem, field by field.
        """
        problems = text_problems(self.dataset, self.text_checksum, info)
        preset = self.preset or text_preset_of(self.dataset, RNN_EVALUATION_PRESETS)
        values = {**preset_values(RNN_EVALUATION_PRESETS, preset, self.preset_version), **self.given_values()}
        fill_text(values, info)
        if values.get("small_batch_size") is None:
            values["small_batch_size"] = values["batch_size"]
        if values["batch_size"] % values["small_batch_size"]:
            problems.append(Problem(("small_batch_size",), f"must divide the batch_size of {values['batch_size']}"))
        batches = {name: values[name] for name in ("batch_size", "validation_batch_size", "test_batch_size")}
        problems += extension_problems(values)
        problems += fill_start(values)
        problems += columns_problems(batches, self.dataset, info)
        if problems:
            raise ConfigError(problems)
        return type(self)(**values)
