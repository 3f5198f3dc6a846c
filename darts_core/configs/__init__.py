"""One spec a job kind: what a user may say, what is filled in, what is refused."""

from darts_core.configs.evaluation import EvaluationConfig
from darts_core.configs.score import ScoreConfig
from darts_core.configs.search import SearchConfig

__all__ = ["EvaluationConfig", "ScoreConfig", "SearchConfig"]
