"""The spec of an ensemble of language models. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from darts_core.configs.ensemble import Combining
from darts_core.configs.rnn_score import RnnScoringConfig
from darts_core.configs.text import columns_problems, fill_text, text_problems
from darts_core.data.text.catalogue import TextInfo
from darts_core.errors import ConfigError, Problem


class RnnEnsembleConfig(RnnScoringConfig, Combining):
    """Language models, measured together on a test text by mixing their word probabilities."""

    combine: Literal["mean", "fitted"] = Field(
        "mean", description="mean of probabilities, plain or with the weights that fit the validation text best"
    )

    def resolved(self, info: TextInfo | None = None) -> RnnEnsembleConfig:
        """Return the spec with every value filled in that does not depend on the text's content.

        info: of an uploaded text. Raises ConfigError.
        """
        problems = text_problems(self.dataset, self.text_checksum, info)
        values = self.model_dump()
        fill_text(values, info)
        if self.batch_size is not None:
            parts = ("test_batch_size", "validation_batch_size") if self.validated else ("test_batch_size",)
            found = columns_problems(dict.fromkeys(parts, self.batch_size), self.dataset, info)
            problems += [Problem(("batch_size",), problem.msg) for problem in found]
        if problems:
            raise ConfigError(problems)
        return RnnEnsembleConfig(**values)
