"""Metrics of predictions: of images from logits, of words from log-probabilities. All in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_core.training.texts import perplexity

Figures = dict[str, float]
BINS: Final = 15
_TOP: Final = 5


def image_figures(logits: Tensor, labels: Tensor) -> Figures:
    """`accuracy`, `top5` (with more than 5 classes) and `calibration_error` in percent, `loss` in nats.

    logits: (N, classes), labels: (N,).
    """
    figures = {
        "accuracy": _percent(logits.argmax(dim=1) == labels),
        "loss": F.cross_entropy(logits.double(), labels).item(),
        "calibration_error": calibration_error(logits, labels),
    }
    if logits.shape[1] > _TOP:
        figures["top5"] = _percent((logits.topk(_TOP, dim=1).indices == labels[:, None]).any(dim=1))
    return figures


def word_figures(log_probabilities: Tensor) -> Figures:
    """`loss` in nats per word and `perplexity`. log_probabilities: (N,), of the target words."""
    loss = -log_probabilities.double().mean().item()
    return {"loss": loss, "perplexity": perplexity(loss)}


def calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Expected calibration error in percent: the gap between confidence and accuracy over 15 confidence bins.

    Bins are (0, 1/15], (1/15, 2/15] ...; confidence is the largest probability. Guo et al. (arXiv:1706.04599), equation
    3.
    """
    confidence, said = logits.double().softmax(dim=1).max(dim=1)
    bins = (confidence * BINS).ceil().long().clamp(1, BINS) - 1
    difference = (said == labels).double() - confidence
    # Per bin |sum of (correct - confidence)| / N, which is the bin's share times |accuracy - confidence|.
    sums = torch.zeros(BINS, dtype=torch.float64).index_add_(0, bins, difference)
    return 100 * sums.abs().sum().item() / len(labels)


def disagreement(outputs: Sequence[Tensor]) -> list[list[float]]:
    """Percent of images that two members label differently, for each pair; symmetric, 0 on the diagonal."""
    said = [output.argmax(dim=1) for output in outputs]
    return [[_percent(one != other) for other in said] for one in said]


def _percent(which: Tensor) -> float:
    return 100 * int(which.sum()) / len(which)
