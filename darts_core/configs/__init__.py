"""Specs: one model per job kind and family, with defaults and validation."""

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
    """The spec class for the `family` in the values; the cnn class by default, which also refuses unknown families."""
    family = spec.get("family", "cnn")
    return _CLASSES[kind, family if family == "rnn" else "cnn"]
