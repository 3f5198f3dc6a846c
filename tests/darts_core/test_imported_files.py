"""Files of other training programs: wrappers, prefixes, buffers, and the remedy that a refusal prints."""

from __future__ import annotations

import argparse
import pickle
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from darts_core.configs import EvaluationConfig
from darts_core.configs.score import ScoredCheckpoint, TrainedOn
from darts_core.errors import CheckpointError
from darts_core.files import checkpoints
from darts_core.files.imports import read_authors, read_described
from darts_core.files.loading import load_network
from darts_core.files.safetensors import convert
from darts_core.files.torch_files import TorchFile, is_legacy, read_legacy
from darts_core.genotypes import KNOWN, to_json
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.scoring.images import scored_network

State = dict[str, torch.Tensor]
CELL = KNOWN["DARTS_V2"]


def network(**changes: Any) -> EvaluationNetwork:
    torch.manual_seed(0)
    sizes = {"channels": 4, "layers": 3, "classes": 10, **changes}
    return EvaluationNetwork(CELL, **sizes)


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def profiled(state: State) -> State:
    zero = torch.zeros(1, dtype=torch.float64)
    modules = {name.rpartition(".")[0] for name in state} | {"cells", "cells.0"}
    counters = {f"{module}.{name}": zero for module in modules for name in ("total_ops", "total_params")}
    return {**state, **counters, "total_ops": zero, "total_params": zero}


def openmmlab(state: State) -> State:
    return {
        name.replace("classifier.", "head.fc.") if name.startswith("classifier.") else f"backbone.{name}": tensor
        for name, tensor in state.items()
    }


@pytest.mark.parametrize(
    "wrap",
    [
        profiled,
        lambda s: {"epoch": 3, "model_state_dict": s, "optimizer_state_dict": {"lr": 0.1}},
        lambda s: {"net": s, "acc": 1.0, "best": torch.tensor(1.0)},
        lambda s: {"model": {"state_dict": prefixed(s, "module.")}},
        lambda s: prefixed(s, "_orig_mod."),
        lambda s: prefixed(s, "module._orig_mod."),
        lambda s: {"state_dict": prefixed(s, "model."), "pytorch-lightning_version": "2.0", "hyper_parameters": {}},
        lambda s: {"state_dict": openmmlab(s), "meta": {"epoch": 1}},
        lambda s: {"n_averaged": torch.tensor(3), **prefixed(s, "module.")},
        lambda s: {name: tensor.double() for name, tensor in s.items()},
    ],
)
def test_the_network_is_found_in_other_programs_wrappers(wrap: Callable[[State], Any], tmp_path: Path) -> None:
    ours = network()
    torch.save(wrap(ours.state_dict()), tmp_path / "x.pt")
    read = read_authors(tmp_path / "x.pt", CELL)["weights"]
    assert list(read) == list(ours.state_dict())
    assert all(torch.equal(read[name], tensor) for name, tensor in ours.state_dict().items())


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"epoch": 3, "weights_of_mine": {"a": torch.zeros(1)}}, "it has epoch, weights_of_mine"),
        ({"state_dict": {"a.weight": torch.zeros(1), "b.weight": torch.zeros(1)}}, "it has a.weight, b.weight"),
        ({**network().state_dict(), "note": "mine"}, "note is not a tensor"),
    ],
)
def test_a_file_without_the_network_is_refused_with_its_keys(value: Any, says: str, tmp_path: Path) -> None:
    torch.save(value, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=says):
        read_authors(tmp_path / "x.pt", CELL)


def test_the_cells_that_reduce_follow_from_the_widths(tmp_path: Path) -> None:
    torch.save(network(layers=5, reductions=[1, 2, 4]).state_dict(), tmp_path / "x.pt")
    assert EvaluationConfig(**read_authors(tmp_path / "x.pt", CELL)["spec"]).reductions == [1, 2, 4]


@pytest.mark.parametrize("sizes", [{"layers": 101, "channels": 2}, {"channels": 1}])
def test_sizes_that_no_spec_can_have_are_refused_in_words(sizes: dict[str, int], tmp_path: Path) -> None:
    state = dict(network().state_dict())
    if sizes["channels"] == 1:
        state["stem.0.weight"] = torch.zeros(3, 3, 3, 3)
    else:
        state["cells.100.preprocess1.op.1.weight"] = torch.zeros(4, 4, 1, 1)
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="no network of these sizes"):
        read_authors(tmp_path / "x.pt", CELL)


def test_safetensors_are_read_as_a_state_dict(tmp_path: Path) -> None:
    state = {name: tensor.contiguous() for name, tensor in network().state_dict().items()}
    save_file(state, tmp_path / "x.safetensors")
    read = read_authors(tmp_path / "x.safetensors", CELL)["weights"]
    assert all(torch.equal(read[name], tensor) for name, tensor in state.items())


def test_our_own_safetensors_name_their_network(tmp_path: Path) -> None:
    torch.save(network(classes=7).state_dict(), tmp_path / "x.pt")
    made = read_authors(tmp_path / "x.pt", CELL, TrainedOn(dataset="mine", classes=list("abcdefg"), size=[64, 64]))
    checkpoints.save(made, tmp_path / "ours.pt")
    with (tmp_path / "ours.safetensors").open("wb") as file:
        convert(tmp_path / "ours.pt", file)
    images = torch.randn(2, 3, 64, 64)
    first, second = (load_network(tmp_path / f"ours.{ending}") for ending in ("pt", "safetensors"))
    with torch.no_grad():
        assert torch.equal(first(images), second(images))
    assert (second.classes, second.normalisation) == (first.classes, first.normalisation)


@pytest.mark.parametrize("cut", [4, 100, -1])
def test_cut_short_safetensors_are_refused(cut: int, tmp_path: Path) -> None:
    save_file({name: tensor.contiguous() for name, tensor in network().state_dict().items()}, tmp_path / "x")
    (tmp_path / "x").write_bytes((tmp_path / "x").read_bytes()[:cut])
    with pytest.raises(CheckpointError):
        read_authors(tmp_path / "x", CELL)


def test_nothing_is_claimed_of_the_data_without_a_remark(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "ten.pt")
    torch.save(network(classes=7).state_dict(), tmp_path / "seven.pt")
    made, about = read_described(tmp_path / "ten.pt", CELL)
    assert (made["spec"]["dataset"], made["classes"][3]) == ("cifar10", "cat")
    assert [remark.split()[0] for remark in about.remarks] == ["taken", "normalised"]
    made, about = read_described(tmp_path / "seven.pt", CELL)
    assert (made["spec"]["dataset"], about.dataset, made["classes"][3]) == ("unknown", None, "3")


def test_the_owners_statement_about_the_data_holds(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "x.pt")
    names = [f"c{i}" for i in range(10)]
    told = TrainedOn(dataset="mine", classes=names, mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6], size=[48, 40])
    made, about = read_described(tmp_path / "x.pt", CELL, told)
    assert made["spec"]["dataset"] == "mine"
    assert made["classes"] == names
    assert made["normalisation"] == {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    assert made["image"] == {"channels": 3, "size": [48, 40]}
    assert about.remarks == []


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (TrainedOn(dataset="mine", classes=["a", "b"]), "has 10 classes, mine has 2"),
        (TrainedOn(mean=[0.5], std=[0.5]), "3 channels, mean and std have 1"),
    ],
)
def test_a_statement_that_does_not_fit_the_weights_is_refused(told: TrainedOn, says: str, tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=says):
        read_authors(tmp_path / "x.pt", CELL, told)


def test_the_normalisation_of_grey_images_has_to_be_told(tmp_path: Path) -> None:
    torch.save(network(image_channels=1).state_dict(), tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="1 channels, whose normalisation is not known: give mean and std"):
        read_authors(tmp_path / "x.pt", CELL)
    made = read_authors(tmp_path / "x.pt", CELL, TrainedOn(mean=[0.5], std=[0.25]))
    assert made["normalisation"] == {"mean": [0.5], "std": [0.25]}


def test_a_score_takes_classes_by_number_unless_the_owner_names_the_data(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "x.pt")
    about = {"id": "1", "source": "upload", "sha256": "0" * 64, "format": "authors", "genotype": to_json(CELL)}
    untold = scored_network(ScoredCheckpoint(**about), tmp_path / "x.pt")
    assert untold.classes == tuple("0123456789")
    told = ScoredCheckpoint(**about, trained_on=TrainedOn(dataset="cifar10"))
    assert scored_network(told, tmp_path / "x.pt").classes[3] == "cat"


@pytest.mark.parametrize(
    "save",
    [
        lambda net, path: torch.save(net, path),
        lambda net, path: torch.save(net, path, _use_new_zipfile_serialization=False),
        lambda net, path: torch.save({"state_dict": net.state_dict(), "args": argparse.Namespace(lr=1)}, path),
        lambda net, path: torch.save({"epoch": 1, "model": net}, path),
        lambda net, path: torch.save({"net": net.state_dict(), "holder": re.compile("x")}, path),
        lambda net, path: path.write_bytes(pickle.dumps(net)),
        lambda net, path: path.write_bytes(pickle.dumps({"model_state_dict": net.state_dict()})),
    ],
)
def test_the_way_out_that_a_refusal_prints_works_for_that_very_file(save: Any, tmp_path: Path) -> None:
    ours = network()
    file = tmp_path / "my model.pt"
    save(ours, file)
    commands = []
    for read in (lambda: read_authors(file, CELL), lambda: read_legacy(file) if is_legacy(file) else TorchFile(file)):
        with pytest.raises(CheckpointError) as refusal:
            read()
        command = re.search(r'python -c "[^"]*"', str(refusal.value))
        assert command is not None, refusal.value
        commands.append(command[0])
    assert commands[0] == commands[1]
    _, *arguments = shlex.split(commands[0])
    subprocess.run([sys.executable, *arguments], cwd=tmp_path, check=True)
    weights = read_authors(tmp_path / "state.pt", CELL)["weights"]
    assert all(torch.equal(weights[name], tensor) for name, tensor in ours.state_dict().items())
