"""Capsules as files, and their comparison. Needs no service."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from api.schemas.jobs import EpochOut
from client.capsules.capsule import About, Capsule, KeptCheckpoint, read, write
from client.capsules.comparison import compare
from client.capsules.rerun import request
from client.cli import call
from client.errors import CapsuleError
from darts_core.configs import SearchConfig

pytestmark = pytest.mark.light

SPEC = SearchConfig(dataset="digits", epochs=3).resolved().model_dump(mode="json")


def made(**environment: Any) -> Capsule:
    """Three epochs, of which the last one's checkpoint is stored."""
    about = About(
        created_at=datetime.now(UTC),
        job=uuid4(),
        kind="search",
        name=None,
        gpus=1,
        threads=2,
        spec=SPEC,
        seed=0,
        genotype={},
        best=None,
        result=None,
        service="0.1.9",
        workers={"w": "0.1.9"},
    )
    epochs = [
        EpochOut(
            epoch=epoch,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            attempt=1,
            metrics={"train_loss": 1 / epoch},
            seconds=1.0,
            alphas={"normal": [[0.1, 0.2]]},
        )
        for epoch in (1, 2, 3)
    ]
    checkpoint = KeptCheckpoint(
        epoch=3,
        sha256="a" * 64,
        size=1,
        environment={"threads": 2, "device": "cpu", "torch": "2.14.1", **environment},
        fingerprints={"weights.stem.0.weight": "b" * 64, "weights.stem.1.bias": "c" * 64},
    )
    return Capsule(about=about, epochs=epochs, checkpoints=[checkpoint])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    events, weights = tmp_path / "events", tmp_path / "weights"
    events.write_text("{}\n")
    weights.write_bytes(b"weights")
    write(made(), events, weights, tmp_path / "x.capsule")
    return tmp_path / "x.capsule"


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The same members after a change, in another file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def about_with(**fields: Any) -> Callable[[dict[str, bytes]], None]:
    def change(members: dict[str, bytes]) -> None:
        members["capsule.json"] = json.dumps({**json.loads(members["capsule.json"]), **fields}).encode()

    return change


def test_a_written_capsule_is_read_as_it_was(path: Path) -> None:
    found, expected = read(path), made()
    assert (found.epochs, found.checkpoints) == (expected.epochs, expected.checkpoints)
    assert found.about.spec == SPEC


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda m: m.update({"../../evil.py": b""}), "it has '../../evil.py'"),
        (lambda m: m.update({"data.pkl": b""}), "it has 'data.pkl'"),
        (lambda m: m.pop("epochs.json"), "it lacks epochs.json"),
        (lambda m: m.update({"epochs.json": b"[]"}), "epochs.json has checksum"),
        (lambda m: m.update({"weights.safetensors": b"other"}), "weights.safetensors has checksum"),
        (lambda m: m.update({"capsule.json": b"[" * 100_000}), "is not a capsule"),
        (about_with(format="else"), "format: Input should be 'dartboard-capsule'"),
        (about_with(version=2), "version: Input should be 1"),
        (about_with(files={}), "names the checksums of other files"),
    ],
)
def test_a_changed_capsule_is_refused(path: Path, change: Callable[[dict[str, bytes]], None], says: str) -> None:
    with pytest.raises(CapsuleError) as caught:
        read(rewritten(path, change))
    assert says in str(caught.value)


def test_a_member_that_is_twice_there_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("epochs.json", "[]")
    with pytest.raises(CapsuleError, match=r"it has 'epochs\.json'"):
        read(path)


def test_a_member_that_expands_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("client.capsules.capsule._LARGEST", dict.fromkeys(read_names(path), 100))
    with pytest.raises(CapsuleError, match="more than a capsule needs"):
        read(path)


def read_names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_another_file_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x").write_text("hello")
    assert call(["verify", str(tmp_path / "x"), "--url", "http://127.0.0.1:1"]) == 2
    assert "x is not a capsule, or a damaged one: File is not a zip file" in capsys.readouterr().err


def test_equal_runs_are_equal_although_their_surroundings_differ() -> None:
    verdict = compare(made(), made(threads=4, torch="2.15.0"))
    assert (verdict.equal, verdict.epochs, verdict.checkpoints, verdict.tensors) == (True, 3, [3], 2)
    assert [(r.what, r.there, r.here) for r in verdict.reasons] == [
        ("torch", "2.14.1", "2.15.0"),
        ("CPU threads", 2, 4),
    ]


def test_one_bit_of_one_metric_is_found_with_its_epoch() -> None:
    other = made()
    other.epochs[1].metrics["train_loss"] = 0.5000000000000001
    verdict = compare(made(), other)
    assert verdict.first is not None
    assert verdict.first.epoch == 2
    assert [(v.what, v.there, v.here) for v in verdict.first.values] == [("train_loss", 0.5, 0.5000000000000001)]
    assert verdict.first.tensors_of is None


def test_the_first_differing_tensor_is_named_with_the_epoch_of_its_checkpoint() -> None:
    other = made()
    other.epochs[0].alphas = {"normal": [[0.1, 0.3]]}
    other.checkpoints[0].fingerprints["weights.stem.1.bias"] = "d" * 64
    first = compare(made(), other).first
    assert first is not None
    assert (first.epoch, first.values[0].what) == (1, "alphas.normal[0][1]")
    assert (first.tensors_of, first.tensors) == (3, ["weights.stem.1.bias"])


def test_a_tensor_that_differs_after_equal_metrics_is_a_difference() -> None:
    other = made()
    other.checkpoints[0].fingerprints.pop("weights.stem.0.weight")
    first = compare(made(), other).first
    assert first is not None
    assert (first.epoch, first.values, first.tensors) == (3, [], ["weights.stem.0.weight"])


def test_a_run_with_fewer_epochs_differs_where_it_ends() -> None:
    other = made()
    del other.epochs[2]
    first = compare(made(), other).first
    assert first is not None
    assert (first.epoch, first.values[0].what) == (3, "epoch")


def test_a_field_that_the_service_fills_in_differently_is_told() -> None:
    other = made()
    other.about.spec = {**SPEC, "weight_lr": 0.5, "threads": 7}
    assert [(r.what, r.here) for r in compare(made(), other).reasons] == [("spec.weight_lr", 0.5)]


def test_a_repetition_has_the_threads_of_the_first_worker_and_no_checksum() -> None:
    capsule = made()
    capsule.about.spec = {**SPEC, "threads": None}
    body = request(capsule, "gpu")
    assert (body["threads"], body["pool"], body["gpus"]) == (2, "gpu", 1)
    assert "dataset_checksum" not in body
    assert body["channels"] == SPEC["channels"]
