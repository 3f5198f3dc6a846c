"""Differentiable architecture search: searches, retraining, checkpoints. Independent of HTTP, databases and Celery.

`import darts_core`, its genotypes, configs and presets need no torch; names that need torch are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darts_core.files.loading import load
    from darts_core.scoring.images import run_score
    from darts_core.training.evaluation import run_evaluation
    from darts_core.training.rnn_evaluation import run_rnn_evaluation
    from darts_core.training.rnn_search import run_rnn_search
    from darts_core.training.search import run_search

__all__ = ["load", "run_evaluation", "run_rnn_evaluation", "run_rnn_search", "run_score", "run_search"]

_HOMES = {
    "load": "darts_core.files.loading",
    "run_evaluation": "darts_core.training.evaluation",
    "run_rnn_evaluation": "darts_core.training.rnn_evaluation",
    "run_rnn_search": "darts_core.training.rnn_search",
    "run_score": "darts_core.scoring.images",
    "run_search": "darts_core.training.search",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'darts_core' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
