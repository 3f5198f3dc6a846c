"""Scores a language model's checkpoint on a test text."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.configs.rnn_score import RnnScoreConfig
from darts_core.configs.score import ScoredCheckpoint
from darts_core.data.text.corpus import encode, load_lines, load_text
from darts_core.data.text.lines import UNKNOWN, words_of
from darts_core.data.text.windows import columns, window
from darts_core.errors import CheckpointError, Stopped
from darts_core.files.language_imports import read_authors_recurrent
from darts_core.files.language_models import TrainedLanguageModel, built_language_model
from darts_core.files.loading import load
from darts_core.files.safetensors import write
from darts_core.genotypes import parse
from darts_core.training.control import UNCONTROLLED, Control, Progress
from darts_core.training.defaults import DATA_ROOT, default_device
from darts_core.training.determinism import deterministic_kernels, is_deterministic
from darts_core.training.matmul_precision import tf32
from darts_core.training.texts import measure_text, perplexity


@dataclass(frozen=True)
class TextScoreReport:
    """A finished score. metrics: test_loss in nats per word, test_perplexity.

    log_probabilities: float32 (N,), natural logarithms of the target words' probabilities; targets: int64 (N,), their
    indices. Both in text order; the first word of each of `columns` columns has no context and is left out. words: in
    the vocabulary. unknown: number of targets that are <unk>.
    """

    metrics: dict[str, float]
    seconds: float
    words: int
    unknown: int
    columns: int
    log_probabilities: Tensor
    targets: Tensor

    @property
    def epoch(self) -> int:
        return 1

    def save(self, path: Path) -> str:
        """Save log-probabilities and targets as safetensors and return the file's SHA-256. Raises OSError."""
        count = (len(self.targets),)
        return write(
            path,
            {
                "log_probabilities": ("F32", count, self.log_probabilities.numpy().tobytes()),
                "targets": ("I64", count, self.targets.numpy().tobytes()),
            },
        )


def run_text_score(
    config: RnnScoreConfig,
    file: Path,
    *,
    data_root: Path = DATA_ROOT,
    device: torch.device | None = None,
    control: Control = UNCONTROLLED,
) -> Iterator[TextScoreReport]:
    """Score the file; yields one report. Raises CheckpointError, DataError, Stopped (between two windows)."""
    started = time.perf_counter()
    device = device or default_device()
    model = scored_model(
        config.checkpoint, file, dataset=config.dataset, data_root=data_root, checksum=config.text_checksum
    )
    model.to(device).eval()
    # In the model's own indices, whatever the text: unknown words become <unk>.
    lines = load_lines(config.dataset, data_root, config.text_checksum).lines
    batch = config.batch_size or tested_columns(model)
    text = columns(encode(words_of(lines["test"]), model.vocabulary), batch, "test").to(device)
    with deterministic_kernels(is_deterministic(config.deterministic, device), device), tf32(wanted=False):
        found = log_probabilities_of(model, text, control)
    targets = text[1:].t().flatten().cpu()
    loss = -found.double().mean().item()
    yield TextScoreReport(
        metrics={"test_loss": loss, "test_perplexity": perplexity(loss)},
        seconds=time.perf_counter() - started,
        words=len(model.vocabulary),
        unknown=int((targets == model.vocabulary.index(UNKNOWN)).sum()) if UNKNOWN in model.vocabulary else 0,
        columns=batch,
        log_probabilities=found,
        targets=targets,
    )


def scored_model(
    checkpoint: ScoredCheckpoint, file: Path, *, dataset: str, data_root: Path, checksum: str | None
) -> TrainedLanguageModel:
    """Load the model of a file in either format. dataset, checksum: of the text that defines the vocabulary of an
    authors' state_dict.

    Raises CheckpointError, DataError.
    """
    if checkpoint.format == "authors":
        assert checkpoint.genotype is not None  # the API requires it for such a file
        genotype = parse(checkpoint.genotype, "rnn")
        imported = read_authors_recurrent(file, genotype, dataset=dataset, data_root=data_root, checksum=checksum)
        return TrainedLanguageModel(built_language_model(imported), imported)
    found = load(file)
    if not isinstance(found, TrainedLanguageModel):
        raise CheckpointError(f"{file} classifies images: score it with family cnn")
    return found


@torch.no_grad()
def log_probabilities_of(model: TrainedLanguageModel, text: Tensor, control: Control) -> Tensor:
    """Of each word after the first of columns (rows, batch), in text order: float32 (batch * (rows - 1),).

    Raises Stopped (between two windows).
    """
    length = model.checkpoint["spec"]["bptt"]
    starts = range(0, len(text) - 1, length)
    hidden, found = None, []
    for step, start in enumerate(starts):
        if control.should_stop():
            raise Stopped("stopped while scoring")
        batch = window(text, start, length)
        passed = model(batch.tokens, hidden)
        hidden = passed.hidden
        loss = F.cross_entropy(passed.logits.flatten(0, 1).float(), batch.targets.flatten(), reduction="none")
        found.append(-loss.view_as(batch.targets).cpu())
        control.progress(Progress(1, 1, step + 1, len(starts)))
    return torch.cat(found).t().flatten().contiguous()


def tested_columns(model: TrainedLanguageModel) -> int:
    """The test batch size of the model's training. A search's spec has none."""
    spec = model.checkpoint["spec"]
    return int(spec.get("test_batch_size", spec["validation_batch_size"]))


@dataclass(frozen=True)
class TextMeasured:
    """loss: mean cross-entropy in nats per word. words: number of predicted words."""

    loss: float
    perplexity: float
    words: int


def score_text(path: str | Path, data_root: Path = DATA_ROOT, device: torch.device | None = None) -> TextMeasured:
    """Loss and perplexity on the test part of its own text. Raises CheckpointError and DataError."""
    device = device or default_device()
    model = load(path, device)
    if not isinstance(model, TrainedLanguageModel):
        raise CheckpointError(f"{path} classifies images: it has an accuracy, not a perplexity")
    spec = model.checkpoint["spec"]
    data = load_text(spec["dataset"], data_root, spec["text_checksum"])
    batch = tested_columns(model)
    text = columns(data.parts["test"], batch, "test").to(device)
    loss = measure_text(model.network, text, spec["bptt"], control=UNCONTROLLED)
    return TextMeasured(loss, perplexity(loss), text.numel() - batch)
