"""One spec a job kind and family: what a user may say, what is filled in, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from darts_core.configs.ensemble import EnsembleConfig
from darts_core.configs.evaluation import EvaluationConfig
from darts_core.configs.rnn_ensemble import RnnEnsembleConfig
from darts_core.configs.rnn_evaluation import RnnEvaluationConfig
from darts_core.configs.rnn_score import RnnScoreConfig
from darts_core.configs.rnn_search import RnnSearchConfig
from darts_core.configs.score import ScoreConfig
from darts_core.configs.search import SearchConfig

__all__ = [
    "AnyConfig",
    "EnsembleConfig",
    "EvaluationConfig",
    "RnnEnsembleConfig",
    "RnnEvaluationConfig",
    "RnnScoreConfig",
    "RnnSearchConfig",
    "ScoreConfig",
    "SearchConfig",
    "config_class",
]

AnyConfig = SearchConfig | EvaluationConfig | RnnSearchConfig | RnnEvaluationConfig

_CLASSES: Final[dict[tuple[str, Any], type[AnyConfig]]] = {
    ("search", "cnn"): SearchConfig,
    ("search", "rnn"): RnnSearchConfig,
    ("evaluation", "cnn"): EvaluationConfig,
    ("evaluation", "rnn"): RnnEvaluationConfig,
}


def config_class(kind: Literal["search", "evaluation"], spec: Mapping[str, Any]) -> type[AnyConfig]:
    """The class of a spec by its `family`, by default `cnn`, whose class also refuses an unknown one."""
    family = spec.get("family", "cnn")
    return _CLASSES[kind, family if family == "rnn" else "cnn"]
