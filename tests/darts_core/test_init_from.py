"""A search that starts from another one's state begins with its bits, and with all else new."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from darts_core import run_search
from darts_core.configs import SearchConfig
from darts_core.errors import CheckpointError, Stopped
from darts_core.files.checkpoints import Checkpoint, on_cpu, read_alphas
from darts_core.training.control import UNCONTROLLED
from darts_core.training.image_search import ImageSearch
from darts_core.training.images import DeviceData
from darts_core.training.init_from import Source
from tests.support.recorder import AT_EVERY_STEP, Recorder, through_a_file
from tests.support.same_bits import assert_same_bits

MakeSearch = Callable[..., SearchConfig]
JOB = "018f0000-0000-7000-8000-000000000000"


def start(what: str, epoch: int = 2) -> dict[str, Any]:
    return {"job": JOB, "epoch": epoch, "what": what}


@pytest.fixture
def source(search_config: MakeSearch, data_root: Path, tmp_path: Path) -> Checkpoint:
    """Of a search's second epoch."""
    [_, second] = run_search(search_config(epochs=2), data_root=data_root)
    return through_a_file(second, tmp_path)


def begun(config: SearchConfig, data_root: Path, source: Source | None = None) -> ImageSearch:
    """A search before its first step."""
    loop = ImageSearch(config, DeviceData.read(config, data_root, torch.device("cpu")), UNCONTROLLED)
    loop.run(source)
    return loop


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("what", ["weights", "alphas", "all"])
def test_weights_and_alphas_are_the_sources_and_all_else_is_that_of_a_new_search(
    what: str, fused: bool, search_config: MakeSearch, data_root: Path, source: Checkpoint
) -> None:
    changes = {"seed": 5, "fused": fused}
    loop = begun(search_config(**changes, init_from=start(what)), data_root, source)
    new = begun(search_config(**changes), data_root)
    taken = {"weights": source["weights"], "alphas": source["alphas"]}
    drawn = {"weights": on_cpu(new.network.state_dict()), "alphas": on_cpu(new.network.alphas)}
    for name, present in (("weights", loop.network.state_dict()), ("alphas", loop.network.alphas)):
        assert_same_bits(on_cpu(present), (taken if what in (name, "all") else drawn)[name])
    for optimizer in (loop.weight_optimizer, loop.architect.optimizer):
        assert optimizer.state_dict()["state"] == {}
    assert (loop.epoch, loop.steps_done) == (0, 0)


@pytest.mark.parametrize(
    "changes",
    [{"method": "pc-darts", "channels": 8}, {"space": "nasbench201", "primitives": None, "nodes": 3}, {"space": "s3"}],
    ids=str,
)
def test_every_kind_of_table_and_network_is_taken(
    changes: dict[str, Any], search_config: MakeSearch, data_root: Path
) -> None:
    values = {"epochs": 1, **({"primitives": None} if "space" in changes else {}), **changes}
    [report] = run_search(search_config(**values), data_root=data_root)
    loop = begun(search_config(**values, seed=1, init_from=start("all", 1)), data_root, report.checkpoint)
    assert_same_bits(on_cpu(loop.network.alphas), report.alphas)
    assert_same_bits(on_cpu(loop.network.state_dict()), report.checkpoint["weights"])


def test_alphas_from_the_service_have_the_bits_of_the_checkpoint(source: Checkpoint, tmp_path: Path) -> None:
    file = tmp_path / "alphas.json"
    file.write_text(json.dumps({name: table.tolist() for name, table in source["alphas"].items()}))
    assert_same_bits({name: table.float() for name, table in read_alphas(file).items()}, source["alphas"])


def test_alphas_stay_as_they_were_taken_while_only_the_weights_are_trained(
    search_config: MakeSearch, data_root: Path, source: Checkpoint, caplog: pytest.LogCaptureFixture
) -> None:
    config = search_config(seed=5, weights_only_epochs=1, init_from=start("alphas"))
    with caplog.at_level("INFO", "darts_core"):
        first, second, _ = run_search(config, data_root=data_root, source={"alphas": source["alphas"]})
    assert_same_bits(first.alphas, source["alphas"])
    assert second.alphas is not None
    assert not torch.equal(second.alphas["normal"], source["alphas"]["normal"])
    told = f"starts with the alphas (2 tensors, 40 numbers) of epoch 2 of job {JOB}; all else begins anew"
    assert told in caplog.messages


def test_a_started_search_resumes_from_its_own_checkpoints_without_the_source(
    search_config: MakeSearch, data_root: Path, source: Checkpoint
) -> None:
    config = search_config(init_from=start("all"), checkpoint_seconds=AT_EVERY_STEP)
    undisturbed = list(run_search(config, data_root=data_root, source=source))
    for stop_at in (1, 4):
        control = Recorder(stop_at=stop_at)
        with pytest.raises(Stopped):
            list(run_search(config, data_root=data_root, source=source, control=control))
        resumed = list(run_search(config, data_root=data_root, resume_from=control.kept[-1]))
        for before, after in zip(undisturbed[-len(resumed) :], resumed, strict=True):
            assert_same_bits(before.checkpoint, after.checkpoint)


def test_all_ranks_start_from_the_source(search_config: MakeSearch, data_root: Path, source: Checkpoint) -> None:
    config = search_config(epochs=2, weights_only_epochs=1, init_from=start("all"))
    first = next(run_search(config, data_root=data_root, gpus=2, source=source))
    assert_same_bits(first.alphas, source["alphas"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init_from": start("all", 1)}, "the state of epoch 2, init_from names epoch 1"),
        ({}, "it has no init_from"),
        ({"init_from": start("all"), "channels": 4}, "weights .* do not fit: .*running_mean is 2 there, 4 here"),
        ({"init_from": start("alphas"), "nodes": 1}, "alphas .* normal is 5x4 there, 2x4 here"),
    ],
)
def test_another_state_than_the_specs_is_refused(
    changes: dict[str, Any], message: str, search_config: MakeSearch, data_root: Path, source: Checkpoint
) -> None:
    with pytest.raises(CheckpointError, match=message):
        run_search(search_config(**changes), data_root=data_root, source=source)


def test_a_missing_state_is_refused(search_config: MakeSearch, data_root: Path) -> None:
    with pytest.raises(CheckpointError, match=r"the state of job 018f0000-.* to start from is missing"):
        run_search(search_config(init_from=start("all")), data_root=data_root)
