"""A data directory of version 0.1, in which one small job of each kind has run, goes on working.

`tests/support/one_of_each.py` made the backup, with commit 15ff414.
"""

from __future__ import annotations

import lzma
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import darts_core
from api.schemas.jobs import JobOut
from client.local import backups
from client.local.stack import LocalStack
from client.sdk import Dartboard

_BACKUP = Path(__file__).parents[1] / "fixtures" / "dartboard-0.1.tar.xz"


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dartboard]:
    folder = tmp_path_factory.mktemp("upgrade")
    backup = folder / "dartboard-0.1.tar"
    backup.write_bytes(lzma.decompress(_BACKUP.read_bytes()))
    backups.restore(folder / "data", backup)
    with (
        LocalStack(folder / "data", port=0, workers=1, environment={"OMP_NUM_THREADS": "1"}) as stack,
        Dartboard(stack.url, timeout=60) as dartboard,
    ):
        yield dartboard


@pytest.fixture(scope="module")
def jobs(upgraded: Dartboard) -> dict[str, list[JobOut]]:
    """Jobs that are no part of another job, by kind, oldest first."""
    found: dict[str, list[JobOut]] = {}
    for job in reversed(list(upgraded.jobs())):
        if job.parent is None:
            found.setdefault(job.kind, []).append(job)
    return found


def test_every_job_is_there_as_it_ended(upgraded: Dartboard) -> None:
    counts = Counter((str(job.kind), str(job.status)) for job in upgraded.jobs())
    assert counts == {
        ("search", "succeeded"): 7,
        ("search", "paused"): 1,
        ("search", "cancelled"): 1,
        ("evaluation", "succeeded"): 8,
        ("score", "succeeded"): 1,
        ("ensemble", "succeeded"): 2,
        ("study", "succeeded"): 1,
        ("committee", "succeeded"): 1,
    }


def test_a_stored_search_shows_its_epochs_alphas_and_cell(upgraded: Dartboard, jobs: dict[str, list[JobOut]]) -> None:
    search = jobs["search"][0]
    assert [epoch.epoch for epoch in upgraded.epochs(search.id)] == [1, 2]
    assert upgraded.genotype(search.id).text.startswith("Genotype(normal=[")
    assert len(upgraded.alphas(search.id).model_dump()["normal"]) == 2


def test_a_stored_checkpoint_loads_and_computes(
    upgraded: Dartboard, jobs: dict[str, list[JobOut]], tmp_path: Path
) -> None:
    for number, evaluation in enumerate(jobs["evaluation"]):
        path = tmp_path / f"{number}.pt"
        upgraded.download_checkpoint(evaluation.id, path)
        assert sum(p.numel() for p in darts_core.load(path).parameters()) > 0


def test_stored_files_and_cells_are_there_for_new_jobs(upgraded: Dartboard, jobs: dict[str, list[JobOut]]) -> None:
    [uploaded] = upgraded.uploaded_checkpoints()
    before = jobs["score"][0]
    after = upgraded.wait(upgraded.submit("score", {"checkpoint_id": str(uploaded.id), "dataset": "digits"}))
    assert after.metrics is not None
    assert before.metrics is not None
    assert after.metrics["test_accuracy"] == before.metrics["test_accuracy"]
    retrained = {"genotype": "REGISTERED", "dataset": "pets", "channels": 2, "layers": 3, "batch_size": 4, "epochs": 1}
    assert upgraded.wait(upgraded.submit("evaluation", retrained)).status == "succeeded"


def test_a_paused_search_goes_on_from_its_stored_epoch(upgraded: Dartboard, jobs: dict[str, list[JobOut]]) -> None:
    [paused] = [job for job in jobs["search"] if job.name == "to be resumed"]
    stored = upgraded.epochs(paused.id)
    upgraded.resume(paused.id)
    assert upgraded.wait(paused).status == "succeeded"
    after = upgraded.epochs(paused.id)
    assert [epoch.epoch for epoch in after] == [1, 2, 3, 4]
    assert after[: len(stored)] == stored
