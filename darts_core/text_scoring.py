"""How well a language model's checkpoint foretells the test part of the text it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from darts_core.data.text.corpus import load_text
from darts_core.data.text.windows import columns
from darts_core.errors import CheckpointError
from darts_core.language_models import TrainedLanguageModel
from darts_core.loading import load
from darts_core.training.rnn_run import measure_text, perplexity
from darts_core.training.run import DATA_ROOT, UNCONTROLLED, default_device


@dataclass(frozen=True)
class TextMeasured:
    """loss: mean cross-entropy in nats a word. words: how many were foretold."""

    loss: float
    perplexity: float
    words: int


def score_text(path: str | Path, data_root: Path = DATA_ROOT, device: torch.device | None = None) -> TextMeasured:
    """Loss and perplexity on the test part of its own text. Raises CheckpointError and DataError."""
    device = device or default_device()
    model = load(path, device)
    if not isinstance(model, TrainedLanguageModel):
        raise CheckpointError(f"{path} tells images apart: it has an accuracy, and no perplexity")
    spec = model.checkpoint["spec"]
    data = load_text(spec["dataset"], data_root, spec["text_checksum"])
    # A search's spec has no batch for testing of its own.
    batch = spec.get("test_batch_size", spec["validation_batch_size"])
    text = columns(data.parts["test"], batch, "test").to(device)
    loss = measure_text(model.network, text, spec["bptt"], control=UNCONTROLLED)
    return TextMeasured(loss, perplexity(loss), text.numel() - batch)
