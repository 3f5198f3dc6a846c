"""Stores an ensemble as one file: a dictionary for `torch.load(weights_only=True)`, with its members' checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from darts_core.ensembles.models import ImageEnsemble, LanguageEnsemble
from darts_core.errors import CheckpointError
from darts_core.files import checkpoints
from darts_core.files.checkpoints import FORMAT, VERSION, Checkpoint
from darts_core.files.language_models import TrainedLanguageModel, built_language_model
from darts_core.files.trained_network import trained

KIND = "ensemble"


def save(
    path: Path,
    members: Sequence[Checkpoint],
    weights: Sequence[float],
    spec: dict[str, Any],
    named: dict[str, list[str]],
    metrics: dict[str, float],
) -> str:
    """Write the file atomically and return its SHA-256. Raises OSError.

    members, weights: of the selected members only. named: {"classes": ...}, or {"vocabulary": ...} for language models.
    Resume state of the members is left out.
    """
    file = {
        "format": FORMAT,
        "version": VERSION,
        "kind": KIND,
        "combine": spec["combine"],
        "weights": torch.tensor(weights, dtype=torch.float64),
        "members": [{**member, "resume": {}} for member in members],
        "spec": spec,
        "metrics": metrics,
        **named,
    }
    return checkpoints.save(file, path)


def build_ensemble(value: dict[str, Any], path: str | Path) -> ImageEnsemble | LanguageEnsemble:
    """Build the ensemble from a saved dictionary, in evaluation mode, on the CPU. path: for messages. Raises
    CheckpointError.
    """
    checkpoints.check_version(value, Path(path))
    try:
        members = [checkpoints.checked(member, Path(path)) for member in value["members"]]
        weights, combine = value["weights"].tolist(), value["combine"]
        if combine not in ("sum", "mean", "fitted") or len(weights) != len(members) or not members:
            raise ValueError(f"{len(members)} members, {len(weights)} weights, combined by {combine!r}")
        if checkpoints.family_of(value) == "rnn":
            models = [TrainedLanguageModel(built_language_model(m), m).eval() for m in members]
            return LanguageEnsemble(models, weights, combine).eval()
        networks = [trained(member, path) for member in members]
        return ImageEnsemble(networks, weights, combine, value["classes"]).eval()
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"{path} is not a usable ensemble: {error}") from error
