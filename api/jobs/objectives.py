"""What makes an epoch the best one, and which checkpoints are worth keeping for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from api.schemas.jobs import JobKind

# What the best epoch is best in, and whether more of it is better: of images and of language models.
_OBJECTIVES: Final = {"validation_accuracy": True, "validation_perplexity": False}


def better(metrics: Mapping[str, float], best: Mapping[str, Any] | None) -> bool:
    """Whether these metrics beat the best so far. Chosen on validation data, never on the test set.

    Without validation data (an evaluation that trains on everything) the latest epoch counts as the best.
    """
    for name, more in _OBJECTIVES.items():
        if best is not None and name in metrics and name in best:
            return bool(metrics[name] > best[name] if more else metrics[name] < best[name])
    return True


def retained(
    kind: JobKind, epochs: Collection[int], best: Mapping[str, Any] | None, every: int | None = None
) -> set[int]:
    """The epochs whose checkpoints stay: the last, to resume from, an evaluation's best, to be used, and each k-th.

    every: the spec's `checkpoint_every`, None for no others.
    """
    if kind in (JobKind.SCORE, JobKind.ENSEMBLE):
        return set(epochs)  # 0 is what they measure, 1 what they found
    kept = {max(epochs)} if epochs else set()
    if kind is JobKind.EVALUATION and best is not None:
        kept.add(int(best["epoch"]))
    if every is not None:
        kept |= {epoch for epoch in epochs if epoch % every == 0}
    return kept
