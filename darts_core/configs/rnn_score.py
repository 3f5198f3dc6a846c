"""The spec of a language model's score on a test text. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from darts_core.configs.common import Deterministic, Threads
from darts_core.configs.score import ScoredCheckpoint
from darts_core.configs.text import TextChecksum, TextVersion, columns_problems, fill_text, text_problems
from darts_core.data.text.catalogue import TextInfo
from darts_core.errors import ConfigError


class RnnScoringConfig(BaseModel):
    """How to measure a language model. The model's own vocabulary is used, not the text's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: Literal["rnn"] = "rnn"
    dataset: str = Field(max_length=120, description="text whose test part is measured", examples=["python-docs"])
    text_checksum: TextChecksum = None
    text_version: TextVersion = None
    batch_size: int | None = Field(
        None,
        ge=1,
        le=65_536,
        description="columns that the text is cut into, each of which starts without context; default: the test "
        "columns of the checkpoint's training",
    )
    threads: Threads = None
    deterministic: Deterministic = None


class RnnScoreConfig(RnnScoringConfig):
    """A score of a known checkpoint."""

    checkpoint: ScoredCheckpoint
    epochs: Literal[1] = Field(1, description="one pass over the test text")

    def resolved(self, info: TextInfo | None = None) -> RnnScoreConfig:
        """Return the spec with every value filled in that does not depend on the text's content.

        info: of an uploaded text. Raises ConfigError.
        """
        problems = text_problems(self.dataset, self.text_checksum, info)
        values = self.model_dump()
        fill_text(values, info)
        if self.batch_size is not None:
            problems += columns_problems({"test_batch_size": self.batch_size}, self.dataset, info)
        if problems:
            raise ConfigError(problems)
        return RnnScoreConfig(**values)
