from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from darts_core import load, run_evaluation, run_search
from darts_core.configs import EvaluationConfig, SearchConfig
from darts_core.errors import CheckpointError
from darts_core.files import checkpoints
from darts_core.files.checkpoints import Checkpoint
from darts_core.files.trained_network import TrainedNetwork
from darts_core.genotypes import Genotype
from darts_core.models.evaluation_network import EvaluationNetwork
from darts_core.models.supernet import SearchNetwork
from darts_core.scoring.images import score
from darts_core.training.reports import EpochReport


class Bomb:
    """Pickles to a call that makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


@pytest.fixture
def trained(evaluation_config: Callable[..., EvaluationConfig], data_root: Path) -> EpochReport:
    return list(run_evaluation(evaluation_config(epochs=1), data_root=data_root))[-1]


@pytest.fixture
def file(trained: EpochReport, tmp_path: Path) -> Path:
    checkpoints.save(trained.checkpoint, tmp_path / "trained.pt")
    return tmp_path / "trained.pt"


@pytest.mark.parametrize("write", ["torch", "pickle"])
def test_pickles_with_code_are_refused_and_never_run(write: str, tmp_path: Path) -> None:
    path, trap = tmp_path / "bomb.pt", tmp_path / "exploded"
    if write == "torch":
        torch.save({"format": "dartboard", "weights": Bomb(trap)}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(trap)))
    with pytest.raises(CheckpointError):
        checkpoints.read(path)
    assert not trap.exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 not a zip", b"\x80\x02."])
def test_garbage_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.pt"):
        checkpoints.read(tmp_path / "x.pt")


def test_truncated_file_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(CheckpointError):
        checkpoints.read(file)


def test_foreign_dictionary_is_refused(tmp_path: Path) -> None:
    torch.save({"stem.0.weight": torch.zeros(1)}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="not a dartboard checkpoint"):
        checkpoints.read(tmp_path / "x.pt")


def test_newer_version_is_refused(trained: EpochReport, tmp_path: Path) -> None:
    checkpoints.save({**trained.checkpoint, "version": 2}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="version 2"):
        checkpoints.read(tmp_path / "x.pt")


def test_an_incomplete_checkpoint_is_refused_by_the_missing_name(trained: EpochReport, tmp_path: Path) -> None:
    partial = dict(trained.checkpoint)
    del partial["genotype"], partial["weights"]
    torch.save(partial, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="genotype, weights missing"):
        checkpoints.read(tmp_path / "x.pt")


def test_failed_save_leaves_the_old_file_and_no_litter(
    trained: EpochReport, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(trained.checkpoint, file)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_loaded_network_gives_the_logits_of_the_trained_one(trained: EpochReport, file: Path) -> None:
    network = load(file)
    assert isinstance(network, TrainedNetwork)
    assert not network.training
    assert isinstance(network.network, EvaluationNetwork)
    assert network.classes == ("dark", "light")
    images = torch.randint(256, (4, 1, 8, 8), dtype=torch.uint8)
    spec = EvaluationConfig(**trained.checkpoint["spec"])
    cell = spec.cell()
    assert isinstance(cell, Genotype)
    by_hand = EvaluationNetwork(cell, channels=spec.channels, layers=spec.layers, classes=2, image_channels=1).eval()
    by_hand.load_state_dict(trained.checkpoint["weights"])
    normalisation = trained.checkpoint["normalisation"]
    normalised = (images / 255 - normalisation["mean"][0]) / normalisation["std"][0]
    torch.testing.assert_close(network(network.prepare(images)), by_hand(normalised))


def test_search_checkpoint_loads_with_its_alphas(
    search_config: Callable[..., SearchConfig], data_root: Path, tmp_path: Path
) -> None:
    report = next(run_search(search_config(), data_root=data_root))
    checkpoints.save(report.checkpoint, tmp_path / "s.pt")
    network = load(tmp_path / "s.pt")
    assert isinstance(network.network, SearchNetwork)
    assert network.network.genotype() == report.genotype == network.genotype


def test_weights_that_do_not_fit_the_spec_are_refused(trained: EpochReport, tmp_path: Path) -> None:
    broken: Checkpoint = {**trained.checkpoint, "spec": {**trained.checkpoint["spec"], "channels": 4}}
    checkpoints.save(broken, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="do not fit"):
        load(tmp_path / "x.pt")


def test_score_of_the_file_is_the_last_epochs_test_result(trained: EpochReport, file: Path, data_root: Path) -> None:
    measured = score(file, data_root)
    assert measured.images == 8
    assert measured.accuracy == trained.metrics["test_accuracy"]
    assert measured.loss == pytest.approx(trained.metrics["test_loss"], rel=1e-4)


def test_scoring_runs_as_a_program(trained: EpochReport, file: Path, data_root: Path) -> None:
    command = [sys.executable, "-m", "darts_core.scoring", str(file), "--data-root", str(data_root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["accuracy"] == trained.metrics["test_accuracy"]


def test_the_scoring_program_explains_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"garbage")
    done = subprocess.run(
        [sys.executable, "-m", "darts_core.scoring", str(tmp_path / "x.pt")], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
