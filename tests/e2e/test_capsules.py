"""Trainings become capsules, and another worker repeats them: bit-equal, or with the reason why not."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image

from api.schemas.jobs import JobOut
from client.local.stack import CODE, Commands, LocalStack
from client.sdk import Dartboard
from tests.support.command import Caller, Outcome
from tests.support.small_search import SEARCH

# 20 of them: DARTBOARD_CAPSULES=20 pytest tests/e2e/test_capsules.py, 7 to 12 minutes
CAPSULES: Final = int(os.environ.get("DARTBOARD_CAPSULES", "4"))
_WORDS: Final[dict[str, Any]] = {"family": "rnn", "dataset": "python-docs", "epochs": 2, "hidden_size": 8}
_TRAINING: Final[dict[str, Any]] = {"dataset": "digits", "channels": 4, "layers": 3, "batch_size": 128, "epochs": 3}
# Each kind of each family, and what changes from one to the next of a kind.
KINDS: Final[list[tuple[str, dict[str, Any]]]] = [
    ("search", {**SEARCH, "epochs": 3}),
    ("evaluation", {**_TRAINING, "genotype": "DARTS_V2", "checkpoint_every": 1}),
    ("search", {**_WORDS, "nodes": 3, "batch_size": 256}),
    ("evaluation", {**_WORDS, "batch_size": 64, "genotype": "DARTS_V1"}),
]
VARIANTS: Final[dict[str, list[dict[str, Any]]]] = {
    "search": [{}, {"order": 2}, {"checkpoint_every": 1}, {"method": "pc-darts"}, {"threads": 2}],
    "evaluation": [{}, {"epochs": 1}, {"weight_lr": 0.05}, {"threads": 2}, {"genotype": "random"}],
}

pytestmark = pytest.mark.timeout(120 + 45 * CAPSULES)


def body(number: int) -> tuple[str, dict[str, Any]]:
    """The training of this number: kinds and families in turn, then other seeds and fields."""
    kind, fields = KINDS[number % len(KINDS)]
    variant = VARIANTS[kind][number // len(KINDS) % 5]
    if fields.get("family") == "rnn" and variant.get("method", variant.get("order")):
        variant = {"nodes": 2}
    return kind, {**fields, **variant, "seed": number}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Three workers, each with a pool of its own; the code of the third has another learning rate."""
    changed = tmp_path_factory.mktemp("changed")
    for package in ("api", "client", "darts_core", "worker"):
        shutil.copytree(CODE / package, changed / package, ignore=shutil.ignore_patterns("__pycache__"))
    schedules = changed / "darts_core" / "training" / "schedules.py"
    code = schedules.read_text()
    assert "(epoch - 1) / epochs)) / 2" in code
    schedules.write_text(code.replace("(epoch - 1) / epochs)) / 2", "epoch / epochs)) / 2"))
    commands = Commands(worker=(sys.executable, "-m", "tests.support.pooled_worker"))
    folder = tmp_path_factory.mktemp("stack")
    with LocalStack(folder, port=0, workers=3, environment={"CHANGED_CODE": str(changed)}, commands=commands) as stack:
        yield stack


@pytest.fixture
def dartboard(stack: LocalStack) -> Iterator[Dartboard]:
    with Dartboard(stack.url) as dartboard:
        yield dartboard


class Keeper:
    """Calls `capsule` and `verify`."""

    def __init__(self, dartboard: Dartboard, called: Caller, folder: Path) -> None:
        self._dartboard, self._called, self._folder = dartboard, called, folder

    def call(self, *arguments: str) -> Outcome:
        return self._called(*arguments, "--url", self._dartboard.url)

    def trained(self, kind: str, fields: dict[str, Any]) -> JobOut:
        """A training on the first worker."""
        job = self._dartboard.wait(self._dartboard.submit(kind, {**fields, "pool": "first"}))
        assert job.status == "succeeded", job.error
        return job

    def capsule(self, job: JobOut) -> Path:
        path = self._folder / f"{job.id}.capsule"
        packed = self.call("capsule", str(job.id), str(path))
        assert packed.code == 0, packed.said
        assert packed.out == f"{path}\n"
        return path

    def verify(self, path: Path, pool: str, *options: str) -> Outcome:
        return self.call("verify", str(path), "--pool", pool, *options)


@pytest.fixture
def keeper(dartboard: Dartboard, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Keeper:
    return Keeper(dartboard, Caller(capsys), tmp_path)


@pytest.mark.parametrize("number", range(CAPSULES))
def test_a_second_worker_repeats_a_capsule_bit_for_bit(keeper: Keeper, number: int) -> None:
    kind, fields = body(number)
    job = keeper.trained(kind, fields)
    outcome = keeper.verify(keeper.capsule(job), "second", "--json")
    assert outcome.code == 0, outcome.said
    verdict = json.loads(outcome.out)
    assert verdict["equal"]
    assert verdict["first"] is None
    assert [name[-2:] for name in verdict["workers"]] == ["-2"]
    assert verdict["epochs"] == job.spec["epochs"]
    assert job.spec["epochs"] in verdict["checkpoints"]
    assert verdict["tensors"] > 20
    assert [reason["what"] for reason in verdict["reasons"] if reason["what"] != "CPU kernels"] == []


def test_a_capsule_holds_documents_and_weights_and_no_pickle(keeper: Keeper) -> None:
    job = keeper.trained("evaluation", {**KINDS[1][1], "epochs": 1, "name": "a name"})
    with zipfile.ZipFile(keeper.capsule(job)) as archive:
        documents = {name: archive.read(name) for name in archive.namelist()}
    assert sorted(documents) == [
        "capsule.json",
        "checkpoints.json",
        "epochs.json",
        "events.jsonl",
        "weights.safetensors",
    ]
    about = json.loads(documents["capsule.json"])
    assert (about["name"], about["spec"], about["seed"]) == ("a name", job.spec, 0)
    assert about["genotype"] == job.spec["genotype"]
    assert [(name[-2:], version) for name, version in about["workers"].items()] == [("-1", about["service"])]
    [checkpoint] = json.loads(documents["checkpoints.json"])
    environment = checkpoint["environment"]
    assert environment["threads"] == job.threads
    assert len(environment["data"]) == 64
    assert {"torch", "python", "numpy", "dartboard", "sources", "device", "processor", "kernels"} <= environment.keys()
    events = [json.loads(line) for line in documents["events.jsonl"].splitlines()]
    assert {"status", "log", "checkpoint"} <= {event["event"] for event in events}


def test_other_data_of_the_same_name_are_told(dartboard: Dartboard, keeper: Keeper, tmp_path: Path) -> None:
    checksums = []
    for edition in range(2):
        _draw(tmp_path / str(edition), seed=edition)
        dartboard.add_dataset("pets", tmp_path / str(edition))
        checksums.append(dartboard.wait_for_dataset("pets").checksum)
        if edition == 0:
            path = keeper.capsule(
                keeper.trained("evaluation", {**KINDS[1][1], "dataset": "pets", "batch_size": 4, "cutout": 0})
            )
            dartboard.remove_dataset("pets")
    outcome = keeper.verify(path, "second")
    assert outcome.code == 1
    first, *lines = outcome.out.splitlines()
    assert "from epoch 1 on" in first
    assert any(line.startswith("  train_loss: ") for line in lines), outcome.out
    assert "  first tensor, in the checkpoints of epoch 1: weights." in outcome.out
    assert f"the reason may be:\n  data set: {checksums[0]} there, {checksums[1]} here\n" in outcome.out


def test_other_code_is_told(keeper: Keeper) -> None:
    outcome = keeper.verify(keeper.capsule(keeper.trained("search", KINDS[0][1])), "changed", "--json")
    assert outcome.code == 1
    verdict = json.loads(outcome.out)
    assert verdict["first"]["epoch"] == 1
    assert "alphas.normal[0][0]" in [each["what"] for each in verdict["first"]["values"]]
    assert verdict["first"]["tensors_of"] == 3, "the only stored checkpoint"
    assert "code" in [reason["what"] for reason in verdict["reasons"]]


def test_what_has_no_capsule_is_refused(dartboard: Dartboard, keeper: Keeper, tmp_path: Path) -> None:
    waiting = dartboard.submit("search", {**SEARCH, "pool": "of-no-worker"})
    outcome = keeper.call("capsule", str(waiting.id), str(tmp_path / "x"))
    dartboard.cancel(waiting.id)
    assert outcome.code == 2
    assert f"the search {waiting.id} is queued: a capsule holds a training that succeeded" in outcome.said
    assert list(tmp_path.iterdir()) == []


def _draw(folder: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    for label, brighter in (("cat", 120), ("dog", 0)):
        (folder / label).mkdir(parents=True)
        for i in range(12):
            pixels = (draw.integers(0, 60, (8, 8, 3)) + brighter).astype("uint8")
            Image.fromarray(pixels).save(folder / label / f"{i}.png")
