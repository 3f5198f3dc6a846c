"""Small runs of recurrent cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from darts_core import load
from darts_core.configs import RnnEvaluationConfig, RnnSearchConfig
from darts_core.files.language_models import TrainedLanguageModel
from darts_core.models.recurrent.language_model import cross_entropy
from tests.support.rounding import sum_tolerance

MakeSearch = Callable[..., RnnSearchConfig]
MakeEvaluation = Callable[..., RnnEvaluationConfig]

WORDS = ["the", "a", "cat", "dog", "sees", "bites", "and", "or", "runs", "sleeps"]
COMMON: dict[str, Any] = {
    "dataset": "folder:tiny",
    "preset": "ptb",
    "batch_size": 4,
    "bptt": 9,
    "hidden_size": 6,
    "validation_batch_size": 3,
    "epochs": 3,
    "dropout_output": 0.2,
    "dropout_cell_input": 0.2,
    "weight_lr": 5.0,
    "activation_penalty": 0.1,
}


def loss_by_hand(file: Path, text: Path, columns: int) -> tuple[float, float]:
    """The stored model's mean loss in float64, the text in one window; and how far float32 may be from it."""
    model = load(file)
    assert isinstance(model, TrainedLanguageModel)
    words = model.prepare([word for line in text.read_text().splitlines() for word in [*line.split(), "<eos>"]])[:, 0]
    rows = len(words) // columns
    window = words[: rows * columns].view(columns, rows).t()
    loss = cross_entropy(model.double()(window[:-1]).logits, window[1:]).item()
    return loss, loss * sum_tolerance(len(words), torch.float32)
