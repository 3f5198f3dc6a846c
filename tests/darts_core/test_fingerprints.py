"""Fingerprints of checkpoints: each tensor and value has one, and a run's surroundings have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from darts_core.errors import CheckpointError
from darts_core.files.fingerprints import fingerprints
from darts_core.files.torch_files import TorchFile


def checkpoint() -> dict[str, Any]:
    return {
        "environment": {"threads": 1},
        "spec": {"threads": 1},
        "weights": {"a": torch.arange(6.0).view(2, 3), "b": torch.zeros(0)},
        "resume": {"optimizer": {"state": {0: {"m": torch.ones(2)}}, "groups": [{"lr": 0.1}]}, "step": 3},
    }


def of(value: Any, folder: Path) -> dict[str, str]:
    torch.save(value, folder / "x.pt")
    return fingerprints(TorchFile(folder / "x.pt"))


def test_each_tensor_and_value_has_its_path_in_the_files_order(tmp_path: Path) -> None:
    paths = ["weights.a", "weights.b", "resume.optimizer.state.0.m", "resume.optimizer.groups", "resume.step"]
    assert list(of(checkpoint(), tmp_path)) == paths


@pytest.mark.parametrize("place", [("weights", "a"), ("resume", "optimizer", "state", 0, "m")])
def test_one_bit_of_a_tensor_changes_its_fingerprint_alone(tmp_path: Path, place: tuple[Any, ...]) -> None:
    changed = checkpoint()
    tensor: Any = changed
    for name in place:
        tensor = tensor[name]
    tensor.view(torch.int32).view(-1)[0] ^= 1
    before, after = of(checkpoint(), tmp_path), of(changed, tmp_path)
    assert [path for path in before if before[path] != after[path]] == [".".join(map(str, place))]


@pytest.mark.parametrize("other", [torch.arange(6.0).view(3, 2), torch.arange(6.0).to(torch.float64).view(2, 3)])
def test_another_shape_or_type_is_another_tensor(tmp_path: Path, other: torch.Tensor) -> None:
    changed = checkpoint()
    changed["weights"]["a"] = other
    assert of(changed, tmp_path)["weights.a"] != of(checkpoint(), tmp_path)["weights.a"]


def test_the_surroundings_of_a_run_have_none(tmp_path: Path) -> None:
    changed = checkpoint() | {"environment": {"threads": 2}, "spec": {"threads": 2}}
    assert of(changed, tmp_path) == of(checkpoint(), tmp_path)


def test_tensors_that_share_more_than_the_file_has_are_refused(tmp_path: Path) -> None:
    wide = torch.zeros(100_000)
    tied = of({"weights": {"a": wide, "b": wide}}, tmp_path)
    assert tied["weights.a"] == tied["weights.b"]
    with pytest.raises(CheckpointError, match="declares tensors larger than the file"):
        of({"weights": {str(number): wide[number:] for number in range(9)}}, tmp_path)


def test_another_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        of([torch.zeros(2)], tmp_path)
