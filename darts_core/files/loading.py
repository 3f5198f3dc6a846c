"""Loads any checkpoint file as a network or an ensemble of networks."""

from __future__ import annotations

from pathlib import Path

import torch

from darts_core.ensembles.file import build_ensemble
from darts_core.ensembles.models import ImageEnsemble, LanguageEnsemble
from darts_core.errors import CheckpointError
from darts_core.files.checkpoints import checked, content, family_of
from darts_core.files.language_models import TrainedLanguageModel, built_language_model
from darts_core.files.trained_network import TrainedNetwork, trained


def load(
    path: str | Path, device: str | torch.device = "cpu"
) -> TrainedNetwork | TrainedLanguageModel | ImageEnsemble | LanguageEnsemble:
    """Load a checkpoint file in evaluation mode, on the device.

    An evaluation gives the trained network of its cell, a search its supernet with its alphas; the family rnn gives a
    language model, an ensemble all its members as one. Raises CheckpointError for a file that is not a checkpoint or
    does not fit its own spec, FileNotFoundError.
    """
    value = content(Path(path))
    if isinstance(value, dict) and value.get("kind") == "ensemble":
        return build_ensemble(value, path).to(device)
    checkpoint = checked(value, Path(path))
    if family_of(checkpoint) != "rnn":
        return trained(checkpoint, path).ready_on(device)
    try:
        return TrainedLanguageModel(built_language_model(checkpoint), checkpoint).to(device).eval()
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path}: the weights do not fit the checkpoint's own spec: {error}") from error


def load_network(path: str | Path, device: str | torch.device = "cpu") -> TrainedNetwork:
    """Load a single image network; raises CheckpointError for any other checkpoint."""
    found = load(path, device)
    if isinstance(found, TrainedLanguageModel):
        raise CheckpointError(f"{path} is a language model: it cannot classify images, but has a perplexity on a text")
    if not isinstance(found, TrainedNetwork):
        raise CheckpointError(f"{path} is an ensemble: one network of images is wanted here")
    return found
