"""Trainings of recurrent cells start from another job's state."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from darts_core import run_rnn_evaluation, run_rnn_search
from darts_core.errors import CheckpointError
from darts_core.files.checkpoints import on_cpu
from darts_core.training.control import UNCONTROLLED
from darts_core.training.rnn_evaluation import RnnEvaluation
from darts_core.training.rnn_search import RnnSearch
from darts_core.training.texts import DeviceText
from tests.support.recurrent_runs import MakeEvaluation, MakeSearch
from tests.support.same_bits import assert_same_bits

JOB = "018f0000-0000-7000-8000-000000000000"


@pytest.mark.parametrize("what", ["weights", "alphas", "all"])
def test_weights_and_alphas_are_the_sources(what: str, search_config: MakeSearch, data_root: Path) -> None:
    [report] = run_rnn_search(search_config(epochs=1), data_root=data_root)
    config = search_config(seed=5, init_from={"job": JOB, "epoch": 1, "what": what})
    loop = RnnSearch(config, DeviceText.read(config, data_root, torch.device("cpu")), UNCONTROLLED)
    drawn = {"weights": on_cpu(loop.network.state_dict()), "alphas": on_cpu(loop.network.alphas)}
    loop.run(report.checkpoint)
    for name, present in (("weights", loop.network.state_dict()), ("alphas", loop.network.alphas)):
        expected = report.checkpoint[name] if what in (name, "all") else drawn[name]  # type: ignore[literal-required]
        assert_same_bits(on_cpu(present), expected)
    assert loop.architect.optimizer.state_dict()["state"] == {}


def test_an_evaluation_inherits_a_supernets_weights_or_those_of_another_one(
    search_config: MakeSearch, evaluation_config: MakeEvaluation, data_root: Path
) -> None:
    [searched] = run_rnn_search(search_config(epochs=1), data_root=data_root)
    [trained] = run_rnn_evaluation(evaluation_config(epochs=1), data_root=data_root)
    config = evaluation_config(seed=5, init_from={"job": JOB, "epoch": 1})
    for source in (searched.checkpoint, trained.checkpoint):
        loop = RnnEvaluation(config, DeviceText.read(config, data_root, torch.device("cpu")), UNCONTROLLED)
        loop.run(source)
        own = on_cpu(loop.network.state_dict())
        assert_same_bits(own, {name: source["weights"][name] for name in own})


def test_weights_of_another_vocabulary_are_refused(search_config: MakeSearch, data_root: Path) -> None:
    [report] = run_rnn_search(search_config(epochs=1), data_root=data_root)
    report.checkpoint["vocabulary"].reverse()
    config = search_config(init_from={"job": JOB, "epoch": 1})
    with pytest.raises(CheckpointError, match="are of another text's vocabulary"):
        run_rnn_search(config, data_root=data_root, source=report.checkpoint)
