"""A study whose searches are paused and promoted, by a real worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from api.schemas.jobs import EpochOut, JobOut
from client.events import EpochEvent
from client.sdk import Dartboard
from darts_core.files import checkpoints
from tests.support.small_search import SEARCH

pytestmark = pytest.mark.slow

MOST = 4
TRAINING = {"epochs": 1, "channels": 4, "layers": 3, "batch_size": 128}
STUDY: dict[str, Any] = {
    "seeds": [0, 1, 2],
    "search": SEARCH,
    "short_retrain": TRAINING,
    "final": TRAINING,
    "final_runs": 1,
    "strategy": {"asha": {"eta": 2, "min_epochs": 1, "max_epochs": MOST}},
}


def told(dartboard: Dartboard, search: JobOut) -> list[int]:
    return [event.epoch for event in dartboard.follow(search) if isinstance(event, EpochEvent)]


def trained(epochs: list[EpochOut]) -> list[Any]:
    return [(epoch.epoch, epoch.metrics, epoch.alphas, epoch.genotype) for epoch in epochs]


def test_each_epoch_of_a_promoted_search_is_computed_once_with_the_bits_of_an_undisturbed_one(
    dartboard: Dartboard, tmp_path: Path
) -> None:
    study = dartboard.wait(dartboard.submit("study", STUDY))
    assert study.status == "succeeded", study.error
    assert study.result is not None
    assert study.result["asha"]["rungs"] == [1, 2, 4]
    searches = [child for child in dartboard.children(study.id) if child.kind == "search"]
    undisturbed = [dartboard.submit("search", {**SEARCH, "epochs": MOST, "seed": seed}) for seed in STUDY["seeds"]]
    lengths = []
    for search, alone in zip(searches, map(dartboard.wait, undisturbed), strict=True):
        assert search.spec == alone.spec
        epochs = dartboard.epochs(search.id)
        assert told(dartboard, search) == [epoch.epoch for epoch in epochs]
        assert trained(epochs) == trained(dartboard.epochs(alone.id))[: len(epochs)]
        lengths.append(len(epochs))
    assert sorted(lengths)[0] == 1
    assert sorted(lengths)[-1] == MOST

    paused = searches[lengths.index(MOST)]
    assert paused.attempt == 3  # to epoch 1, to epoch 2, to the end
    assert {epoch.epoch: epoch.attempt for epoch in dartboard.epochs(paused.id)} == {1: 1, 2: 2, 3: 3, 4: 3}
    files = [
        dartboard.download(job.id, tmp_path / f"{n}.pt")
        for n, job in enumerate((paused, undisturbed[lengths.index(MOST)]))
    ]
    weights, others = (checkpoints.read(file)["weights"] for file in files)
    assert weights.keys() == others.keys()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
