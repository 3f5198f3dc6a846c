"""Checkpoints from the middle of an epoch: the newest is kept until its epoch is stored."""

from pathlib import Path

import httpx
import pytest

from api.schemas.jobs import JobOut
from api.schemas.worker import Release
from tests.support.service import Bench, Service
from worker.api_client import SupersededError


def files_of(service: Service, job: JobOut) -> list[str]:
    return sorted(p.name[65:] for p in (Path(service.data) / "artifacts" / str(job.id)).rglob("*.pt"))


def test_the_next_attempt_goes_on_in_the_middle_of_the_epoch(bench: Bench) -> None:
    bench.submit()
    first = bench.claim()
    first.report(1)
    first.report_partial(1, 5)
    first.report_partial(1, 9)
    first.attempt.release(Release(reason="shutdown"))
    second = bench.claim()
    resume = second.resume
    assert (resume.epoch, resume.step) == (1, 9)
    second.attempt.download(resume, second.folder / "resumed")
    assert (second.folder / "resumed").read_bytes() == b"epoch 1, step 9"


def test_the_first_epoch_is_resumed_in_its_middle_as_well(bench: Bench) -> None:
    bench.submit()
    first = bench.claim()
    first.report_partial(0, 3)
    first.attempt.release(Release(reason="shutdown"))
    resume = bench.claim().resume
    assert (resume.epoch, resume.step) == (0, 3)


def test_only_the_newest_partial_file_is_kept(bench: Bench, service: Service) -> None:
    job = bench.submit()
    training = bench.claim()
    training.report(1)
    for step in (5, 9, 12):
        training.report_partial(1, step)
    assert files_of(service, job) == ["epoch-1.pt", "partial-1-12.pt"]


def test_a_partial_file_is_gone_when_its_epoch_is_stored(bench: Bench, service: Service) -> None:
    job = bench.submit()
    training = bench.claim()
    training.report_partial(0, 5)
    training.report(1)
    assert files_of(service, job) == ["epoch-1.pt"]
    training.attempt.release(Release(reason="shutdown"))
    resume = bench.claim().resume
    assert (resume.epoch, resume.step) == (1, 0)


def test_an_interrupted_epoch_has_one_event_and_its_partial_files_none(bench: Bench) -> None:
    job = bench.submit(epochs=1)
    first = bench.claim()
    first.report_partial(0, 5)
    first.attempt.release(Release(reason="shutdown"))
    second = bench.claim()
    second.report(1)
    second.finish()
    kinds = [e.kind for e in bench.dartboard.follow(job)]
    assert (kinds.count("epoch"), kinds.count("checkpoint")) == (1, 1)


def test_a_partial_report_of_another_epoch_is_refused(bench: Bench) -> None:
    bench.submit()
    training = bench.claim()
    training.report(1)
    with pytest.raises(SupersededError, match="epoch 1 is the last"):
        training.report_partial(0, 5)


def test_a_partial_checkpoint_is_not_listed(bench: Bench, http: httpx.Client) -> None:
    body = {"dataset": "digits", "genotype": "DARTS_V2", "epochs": 3, "pool": bench.pool}
    job = bench.dartboard.submit("evaluation", body)
    training = bench.claim()
    training.report_partial(0, 5)
    assert http.get(f"/evaluations/{job.id}/checkpoints").json()["items"] == []
    assert http.get(f"/evaluations/{job.id}/checkpoint").status_code == 409


def test_each_kth_checkpoint_is_kept_when_the_spec_asks_for_it(bench: Bench, service: Service) -> None:
    job = bench.submit(epochs=5, checkpoint_every=2)
    training = bench.claim()
    for epoch in range(1, 6):
        training.report(epoch)
    assert files_of(service, job) == ["epoch-2.pt", "epoch-4.pt", "epoch-5.pt"]
