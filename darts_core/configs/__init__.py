"""Specs: one model per job kind and family, with defaults and validation."""

from __future__ import annotations

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
]

AnyConfig = SearchConfig | EvaluationConfig | RnnSearchConfig | RnnEvaluationConfig
