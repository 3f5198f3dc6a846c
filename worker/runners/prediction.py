"""Runs predictions."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from api.schemas.predictions import Candidate, PredictionResult
from darts_core import load
from darts_core.errors import CheckpointError
from darts_core.files.language_models import TrainedLanguageModel
from darts_core.files.trained_network import TrainedNetwork
from darts_core.scoring.continuation import continued
from darts_core.training.control import Control
from worker.runners.runner import Report


def run(
    spec: dict[str, Any],
    *,
    data_root: Path,
    resume_from: Path | None,
    inputs: Mapping[str, Path],
    control: Control,
    gpus: int = 1,
) -> Iterator[Report]:
    """One report. Computed on the CPU: one image or text is not worth a GPU."""
    began = time.perf_counter()
    if "given.pt" not in inputs:
        raise CheckpointError("the checkpoint is gone: predict anew")
    network = load(inputs["given.pt"])
    with torch.no_grad():
        if isinstance(network, TrainedNetwork):
            result = _classified(network, inputs["image"], spec)
        elif isinstance(network, TrainedLanguageModel):
            result = _continued(network, inputs["text"], spec)
        else:
            raise CheckpointError("this checkpoint is of an ensemble: register one network")
    document = result.model_dump_json().encode()

    def write(to: Path) -> str:
        to.write_bytes(document)
        return hashlib.sha256(document).hexdigest()

    metrics = {"probability": result.candidates[0].probability}
    yield Report(1, metrics, time.perf_counter() - began, {"prediction.json": write}, {"result": result})


def _classified(network: TrainedNetwork, image: Path, spec: Mapping[str, Any]) -> PredictionResult:
    [prediction] = network.predict([image])
    best = sorted(prediction.probabilities.items(), key=lambda entry: -entry[1])[: spec["top"]]
    return PredictionResult(candidates=[Candidate(label=name, probability=value) for name, value in best])


def _continued(network: TrainedLanguageModel, text: Path, spec: Mapping[str, Any]) -> PredictionResult:
    found = continued(network, text.read_text(encoding="utf-8"), words=spec["words"], top=spec["top"])
    return PredictionResult(
        candidates=[Candidate(label=word, probability=value) for word, value in found.next_words],
        continuation=" ".join(found.continuation),
        unknown=list(found.unknown[:100]),
    )
