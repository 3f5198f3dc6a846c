"""The workers' side: claims, leases, fencing, idempotent reports."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.schemas.jobs import Failure, Progress
from api.schemas.worker import Claim, Fail, Finish, Heartbeat, LogReport, Release
from darts_core.genotypes import KNOWN, KNOWN_RECURRENT, to_json
from tests.support.service import Bench, EndLease, Service, SimulatedAttempt
from worker.api_client import RefusedError, SupersededError, WorkerApi


def test_the_most_urgent_job_is_claimed_first_and_the_oldest_among_equals(bench: Bench) -> None:
    old, young, urgent = bench.submit(), bench.submit(), bench.submit(priority=9)
    claimed = [bench.claim().claimed.job_id for _ in range(3)]
    assert claimed == [urgent.id, old.id, young.id]
    assert bench.nothing_to_claim()


def test_a_worker_gets_only_jobs_of_its_pool_and_its_number_of_gpus(bench: Bench) -> None:
    bench.submit(gpus=2)
    assert bench.nothing_to_claim()
    assert bench.api.claim(Claim(worker="w", pools=[bench.pool], gpus=2, threads=1)) is not None


def test_a_worker_of_several_pools_takes_the_most_urgent_and_then_the_oldest_of_them_all(bench: Bench) -> None:
    pools = [bench.pool, f"{bench.pool}-too"]
    jobs = [bench.submit(pool=pools[i], priority=priority) for i, priority in ((0, 5), (1, 5), (0, 5), (1, 9))]
    claims = [bench.api.claim(Claim(worker="w", pools=pools, threads=1)) for _ in jobs]
    old, next_old, young, urgent = jobs
    assert [claimed and claimed.job_id for claimed in claims] == [urgent.id, old.id, next_old.id, young.id]


def test_an_older_worker_that_names_one_pool_is_understood(bench: Bench, http: httpx.Client, service: Service) -> None:
    job = bench.submit()
    headers = {"Authorization": f"Bearer {service.worker_key}"}
    answer = http.post("/worker/claim", json={"worker": "w", "pool": bench.pool, "threads": 1}, headers=headers)
    assert answer.json()["job_id"] == str(job.id)


def test_a_claim_that_is_sent_again_gets_the_same_attempt(bench: Bench) -> None:
    jobs = [bench.submit(), bench.submit()]
    claim = Claim(worker="w", pools=[bench.pool], threads=1, token=uuid4().hex)
    first, again = bench.api.claim(claim), bench.api.claim(claim)
    assert first is not None
    assert again is not None
    assert (first.attempt_id, first.token, first.resume) == (again.attempt_id, again.token, again.resume)
    assert [bench.dartboard.job(job.id).status for job in jobs] == ["running", "queued"]


def test_claims_that_come_twice_at_the_same_moment_get_one_attempt(bench: Bench) -> None:
    jobs = [bench.submit() for _ in range(8)]
    claim = Claim(worker="w", pools=[bench.pool], threads=1, token=uuid4().hex)
    with ThreadPoolExecutor(8) as together:
        claimed = list(together.map(lambda _: bench.api.claim(claim), range(8)))
    assert None not in claimed
    assert len({c.attempt_id for c in claimed if c}) == 1
    assert sum(bench.dartboard.job(job.id).status == "running" for job in jobs) == 1


def test_a_claim_that_is_sent_again_after_its_attempt_is_over_is_refused(bench: Bench) -> None:
    job = bench.submit()
    claim = Claim(worker="w", pools=[bench.pool], threads=1, token=uuid4().hex)
    bench.api.claim(claim)
    bench.dartboard.cancel(job.id)
    with pytest.raises(SupersededError, match="claim with a new one"):
        bench.api.claim(claim)


def test_another_workers_claim_does_not_get_an_attempt_by_its_token(bench: Bench) -> None:
    bench.submit()
    token = uuid4().hex
    bench.api.claim(Claim(worker="w", pools=[bench.pool], threads=1, token=token))
    with pytest.raises(SupersededError):
        bench.api.claim(Claim(worker="other", pools=[bench.pool], threads=1, token=token))


def test_a_whole_life_is_stored_and_told_in_order(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    for epoch in (1, 2, 3):
        training.report(epoch)
    training.finish()
    events = list(bench.dartboard.follow(job))
    assert [e.sequence for e in events[:-1]] == list(range(1, len(events)))
    assert [e.kind for e in events] == ["status", "status", *["epoch", "checkpoint"] * 3, "status", "end"]
    assert [e.data["status"] for e in events if e.kind == "status"] == ["queued", "running", "succeeded"]
    assert [e.epoch for e in bench.dartboard.epochs(job.id)] == [1, 2, 3]
    assert bench.dartboard.job(job.id).status == "succeeded"


def test_an_epoch_that_is_reported_twice_is_stored_and_told_once(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    report = training.report(1, validation_accuracy=60.0)
    training.attempt.report_epoch(report)
    training.attempt.report_epoch(report.model_copy(update={"n": 99, "metrics": {"validation_accuracy": 1.0}}))
    training.attempt.release(Release(reason="shutdown"))
    stored = bench.dartboard.epochs(job.id)
    assert [(e.epoch, e.metrics["validation_accuracy"]) for e in stored] == [(1, 60.0)]


def test_log_lines_that_are_reported_twice_are_told_once(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    line = {"time": "2026-01-01T00:00:00Z", "message": "hello \x00 there"}
    report = LogReport.model_validate({"n": training.number(), "lines": [line]})
    training.attempt.report_logs(report)
    training.attempt.report_logs(report)
    assert [entry.message for entry in bench.dartboard.logs(job.id)] == ["hello \N{REPLACEMENT CHARACTER} there"]


def test_an_epoch_is_refused_when_one_before_it_is_missing(bench: Bench) -> None:
    bench.submit()
    with pytest.raises(SupersededError, match="after epoch 0"):
        bench.claim().report(2)


def test_an_epoch_is_refused_when_its_checkpoint_is_not_stored_or_another_one(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    report = training.report(1).model_copy(update={"n": 2, "epoch": 2})
    missing = report.model_copy(update={"checkpoint": "epoch-2.pt"})
    with pytest.raises(SupersededError, match="has not been uploaded"):
        training.attempt.report_epoch(missing)
    other = report.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(SupersededError, match="has not been uploaded"):
        training.attempt.report_epoch(other)
    assert len(bench.dartboard.epochs(job.id)) == 1


def test_a_job_does_not_succeed_with_an_epoch_missing(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    training.report(1)
    with pytest.raises(SupersededError, match="1 of 3 epochs"):
        training.finish()
    assert bench.dartboard.job(job.id).status == "running"


def test_a_finish_that_is_repeated_changes_nothing(bench: Bench) -> None:
    job = bench.submit(epochs=1)
    training = bench.claim()
    training.report(1)
    training.attempt.finish(Finish(n=2))
    training.attempt.finish(Finish(n=2))
    assert [e.data["status"] for e in bench.dartboard.follow(job) if e.kind == "status"][-1] == "succeeded"
    with pytest.raises(SupersededError):
        training.attempt.finish(Finish(n=3))


def test_a_lease_that_is_not_renewed_ends_and_the_old_token_is_refused_everywhere(
    bench: Bench, end_lease: EndLease
) -> None:
    job = bench.submit()
    late = bench.claim("worker-late")
    late.report(1)
    end_lease(late)
    bench.wait_for_status(job, "queued")
    events_before = bench.dartboard.job(job.id)
    for call in (
        lambda: late.attempt.heartbeat(Heartbeat()),
        lambda: late.report(2),
        lambda: late.finish(),
        lambda: late.attempt.fail(Fail(outcome="failed", error=Failure(type="X", message="x"))),
        lambda: late.attempt.release(Release(reason="shutdown")),
    ):
        with pytest.raises(SupersededError):
            call()
    assert bench.dartboard.job(job.id) == events_before
    assert [e.epoch for e in bench.dartboard.epochs(job.id)] == [1]


def test_the_next_attempt_gets_the_last_stored_checkpoint_and_the_first_ones_threads(bench: Bench) -> None:
    bench.submit(preset="cifar10", batch_size=64)
    first = bench.claim("worker-a", threads=3)
    first.report(1, b"one")
    first.report(2, b"two")
    first.attempt.release(Release(reason="shutdown"))
    second = bench.claim("worker-b", threads=8)
    resume = second.resume
    assert (second.claimed.attempt, resume.epoch, second.claimed.threads) == (2, 2, 3)
    second.attempt.download(resume, second.folder / "resumed")
    assert (second.folder / "resumed").read_bytes() == b"two"


def test_a_held_heartbeat_is_answered_when_the_job_is_cancelled(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    with ThreadPoolExecutor() as pool:
        held = pool.submit(training.attempt.heartbeat, Heartbeat(hold=60))
        bench.dartboard.cancel(job.id)
        with pytest.raises(SupersededError):
            held.result(timeout=5)


def test_a_held_heartbeat_is_answered_when_the_job_shall_pause(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    with ThreadPoolExecutor() as pool:
        held = pool.submit(training.attempt.heartbeat, Heartbeat(hold=60))
        bench.dartboard.pause(job.id)
        assert held.result(timeout=5).directive == "pause"


def test_a_heartbeat_is_held_as_long_as_asked_while_nothing_happens(bench: Bench) -> None:
    bench.submit()
    training = bench.claim()
    began = time.monotonic()
    assert training.attempt.heartbeat(Heartbeat(hold=0.3)).directive == "continue"
    assert time.monotonic() - began >= 0.3


def test_a_heartbeat_keeps_the_lease_and_notes_the_progress(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    progress = Progress(epoch=1, epochs=3, step=4, steps=12, eta_seconds=9.5)
    assert training.attempt.heartbeat(Heartbeat(progress=progress)).directive == "continue"
    assert bench.dartboard.job(job.id).progress == progress


def test_a_running_jobs_stage_is_shown_and_told_at_once(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    at = {"epoch": 1, "epochs": 3, "step": 0, "steps": 0}
    for name in ("loading data", "preparing: kernels", "preparing: kernels", None):
        training.attempt.heartbeat(Heartbeat(progress=Progress(**at, stage=name)))
        assert bench.dartboard.job(job.id).stage == name
    bench.dartboard.cancel(job.id)
    steps = [event.data["stage"] for event in bench.dartboard.follow(job) if event.kind == "step"]
    assert steps == ["loading data", "preparing: kernels", None]


def test_a_job_that_does_not_run_is_in_no_stage(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    progress = Progress(epoch=1, epochs=3, step=0, steps=0, stage="preparing: kernels")
    training.attempt.heartbeat(Heartbeat(progress=progress))
    training.attempt.release(Release(reason="shutdown"))
    assert bench.dartboard.job(job.id).stage is None


def test_cancel_ends_a_running_job_at_once_and_its_token_is_refused(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    assert bench.dartboard.cancel(job.id).status == "cancelled"
    with pytest.raises(SupersededError, match="cancelled"):
        training.attempt.heartbeat(Heartbeat())


def test_pause_asks_the_worker_and_resume_goes_on_from_the_last_epoch(bench: Bench) -> None:
    job = bench.submit()
    training = bench.claim()
    assert bench.dartboard.pause(job.id).status == "pausing"
    assert training.attempt.heartbeat(Heartbeat()).directive == "pause"
    training.report(1)
    training.attempt.release(Release(reason="pause"))
    assert bench.dartboard.job(job.id).status == "paused"
    assert bench.nothing_to_claim()
    bench.dartboard.resume(job.id)
    assert bench.claim().resume.epoch == 1


def test_workers_lost_in_a_row_fail_the_job_and_a_stored_epoch_starts_the_count_again(bench: Bench) -> None:
    job = bench.submit(max_attempts=2)
    lost = Fail(outcome="lost", error=Failure(type="WorkerLost", message="killed"))
    bench.claim().attempt.fail(lost)
    training = bench.claim()
    training.report(1)
    training.attempt.fail(lost)
    bench.claim().attempt.fail(lost)
    ended = bench.dartboard.job(job.id)
    assert ended.status == "failed"
    assert ended.attempt == 3
    assert ended.error is not None
    assert ended.error.type == "WorkerLost"
    assert "killed" in ended.error.message


def test_a_failure_keeps_its_account_and_is_not_retried_but_can_be(bench: Bench) -> None:
    job = bench.submit()
    error = Failure(type="DataError", message="no such folder", traceback="Traceback ...", log_tail=["INFO a line"])
    bench.claim().attempt.fail(Fail(n=1, outcome="failed", error=error))
    failed = bench.dartboard.job(job.id)
    assert (failed.status, failed.error) == ("failed", error)
    assert bench.nothing_to_claim()
    again = bench.dartboard.retry(job.id)
    assert (again.status, again.error) == ("queued", None)


def test_a_full_disk_on_the_worker_pauses_the_job_with_a_reason(bench: Bench) -> None:
    job = bench.submit()
    bench.claim().attempt.release(Release(reason="disk_full", detail="/state on worker-a"))
    paused = bench.dartboard.job(job.id)
    assert paused.status == "paused"
    assert "/state on worker-a" in (paused.status_reason or "")


def test_a_token_opens_its_own_attempt_only(bench: Bench) -> None:
    bench.submit()
    bench.submit()
    one, two = bench.claim(), bench.claim()
    crossed = bench.api.attempt(str(one.claimed.attempt_id), two.claimed.token)
    with pytest.raises(SupersededError, match="belongs to another attempt"):
        crossed.heartbeat(Heartbeat())


def test_a_worker_without_the_key_gets_nothing(service: Service) -> None:
    with WorkerApi(service.url, "wrong") as stranger, pytest.raises(RefusedError, match="401"):
        stranger.claim(Claim(worker="w", threads=1))


def test_a_file_name_cannot_lead_out_of_the_store(bench: Bench, http: httpx.Client, service: Service) -> None:
    bench.submit()
    training = bench.claim()
    headers = {"Authorization": f"Bearer {service.worker_key}", "X-Attempt-Token": training.claimed.token}
    for name in ("..%2F..%2Fescaped", "a%2Fb", ".hidden", "%2e%2e", "x" * 200):
        path = f"/worker/attempts/{training.claimed.attempt_id}/files/{name}"
        assert http.put(path, content=b"x", headers=headers).status_code in (404, 422)
    assert not list(service.data.rglob("*escaped*"))


def test_a_file_without_its_attempt_is_refused(bench: Bench, http: httpx.Client, service: Service) -> None:
    headers = {"Authorization": f"Bearer {service.worker_key}", "X-Attempt-Token": "nothing"}
    assert http.put(f"/worker/attempts/{uuid4()}/files/a.pt", content=b"x", headers=headers).status_code == 403


def test_old_checkpoints_of_a_search_are_dropped_and_the_last_is_kept(bench: Bench, service: Service) -> None:
    job = bench.submit()
    training = bench.claim()
    for epoch in (1, 2, 3):
        training.report(epoch)
    kept = [p.name for p in (service.data / "artifacts" / str(job.id)).rglob("*.pt")]
    assert [name[65:] for name in kept] == ["epoch-3.pt"]


def test_a_present_worker_is_listed_with_its_job(bench: Bench, service: Service) -> None:
    from api.schemas.worker import Presence

    name = f"worker-{bench.pool}"
    bench.api.show(Presence(name=name, pools=[bench.pool], device="cpu", version="0"))
    job = bench.submit()
    bench.claim(name)
    listed = {w.name: w for w in bench.dartboard.workers()}[name]
    assert (listed.alive, listed.job_id) == (True, job.id)


def _post(http: httpx.Client, service: Service, training: SimulatedAttempt, what: str, body: Any) -> httpx.Response:
    headers = {
        "Authorization": f"Bearer {service.worker_key}",
        "X-Attempt-Token": training.claimed.token,
        "Content-Type": "application/json",
    }
    return http.post(
        f"/worker/attempts/{training.claimed.attempt_id}/{what}", content=json.dumps(body), headers=headers
    )


_EPOCH = {"n": 1, "epoch": 1, "metrics": {}, "seconds": 1, "checkpoint": "a", "sha256": "0" * 64}


@pytest.mark.parametrize(
    "wrong",
    [
        {"metrics": {"train_loss": float("nan")}},
        {"seconds": float("inf")},
        {"metrics": {"a\x00": 1}},
        {"n": 2**70},
        {"epoch": 2**40},
        {"alphas": {"normal": [[float("-inf")]], "reduce": [[1.0]]}},
        {"alphas": {"normal": [[float("nan")]], "reduce": [[1.0]]}},
        {"alphas": {"normal": [[1.0, 2.0], [1.0]], "reduce": [[1.0]]}},
        {"alphas": {"normal": [["0.5"]], "reduce": [[1.0]]}},
        {"alphas": {"normal": [[]], "reduce": [[1.0]]}},
        {"alphas": {"normal": [], "reduce": []}},
        {"alphas": {"normal": [0.5], "reduce": [0.5]}},
        {"alphas": {"normal": [[0.5]]}},
        {"alphas": {"recurrent": [[0.5]], "normal": [[0.5]]}},
        {"alphas": {}},
        {"alphas": {"normal": [[0.5]], "reduce": [[0.5]], "recurrent_edges": [[0.5]]}},
        {"alphas": {"normal": [[0.5]], "reduce": [[0.5]], "reduce_edges": [[0.5], [0.5]]}},
        {"alphas": {"normal_edges": [[0.5]], "reduce_edges": [[0.5]]}},
        {"strengths": {"normal": [[float("nan")]], "reduce": [[1.0]]}},
        {"strengths": {"normal": [[1.5]], "reduce": [[1.0]]}},
        {"strengths": {"normal": [[-0.5]], "reduce": [[1.0]]}},
        {"strengths": {"normal": [[1.0, 0.0], [1.0]], "reduce": [[1.0]]}},
        {"strengths": {"normal": [["0.5"]], "reduce": [[1.0]]}},
        {"genotype": {"text": "?"}},
    ],
)
def test_a_report_that_cannot_be_stored_is_422_and_not_500(
    bench: Bench, http: httpx.Client, service: Service, wrong: dict[str, Any]
) -> None:
    bench.submit()
    assert _post(http, service, bench.claim(), "epochs", {**_EPOCH, **wrong}).status_code == 422


_CELL = {"normal": [[0.5]], "reduce": [[0.5]]}
_GENOTYPE = to_json(KNOWN["DARTS_V2"])


@pytest.mark.parametrize(
    ("field", "report"),
    [
        ("genotype", {"alphas": _CELL}),
        ("alphas", {"genotype": _GENOTYPE}),
        ("alphas", {"genotype": _GENOTYPE, "alphas": {"recurrent": [[0.5]]}}),
        ("genotype", {"genotype": to_json(KNOWN_RECURRENT["DARTS_V2"]), "alphas": {"recurrent": [[0.5]]}}),
    ],
)
def test_a_search_s_epoch_without_its_cell_and_alphas_is_422(
    bench: Bench, http: httpx.Client, service: Service, field: str, report: dict[str, Any]
) -> None:
    bench.submit()
    training = bench.claim()
    path = training.folder / "a"
    path.write_bytes(b"checkpoint")
    body = {**_EPOCH, **report, "sha256": training.attempt.upload(path).sha256}
    answer = _post(http, service, training, "epochs", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", field]


@pytest.mark.parametrize(
    ("strengths", "message"),
    [
        ({"normal": [[0.5, 0.5]]}, "reduce is missing"),
        ({"normal": [[0.5, 0.5]], "reduce": [[1, 0]], "recurrent": [[1]]}, "recurrent is a table that"),
        ({"normal": [[0.5, 0.5]], "reduce": [[1, 0]], "reduce_edges": [[1]]}, "reduce_edges is a table that"),
        ({"normal": [[0.5, 0.5]], "reduce": [[1]]}, "reduce has 1 x 1 numbers, its alphas 1 x 2 numbers"),
        ({"normal": [[0.5, 0.5]] * 2, "reduce": [[1, 0]]}, "normal has 2 x 2 numbers, its alphas 1 x 2 numbers"),
    ],
)
def test_strengths_that_do_not_fit_the_alphas_are_422_that_names_the_table(
    bench: Bench, http: httpx.Client, service: Service, strengths: dict[str, Any], message: str
) -> None:
    bench.submit()
    training = bench.claim()
    path = training.folder / "a"
    path.write_bytes(b"checkpoint")
    alphas = {"normal": [[0.5, 0.25]], "reduce": [[1.0, 0.5]], "reduce_edges": [[0.5]]}
    report = {"genotype": _GENOTYPE, "alphas": alphas, "sha256": training.attempt.upload(path).sha256}
    answer = _post(http, service, training, "epochs", {**_EPOCH, **report, "strengths": strengths})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"strengths: {message}")
    fitting = {"normal": [[0.5, 0.5]], "reduce": [[1, 0]]}
    assert _post(http, service, training, "epochs", {**_EPOCH, **report, "strengths": fitting}).status_code == 200


def test_a_failure_with_text_that_cannot_be_stored_is_stored_with_it_replaced(
    bench: Bench, http: httpx.Client, service: Service
) -> None:
    job = bench.submit()
    error = {"type": "E", "message": "a\x00b \udce9.png", "log_tail": ["\x00"]}
    body = {"n": 1, "outcome": "failed", "error": error}
    assert _post(http, service, bench.claim(), "fail", body).status_code == 204
    failure = bench.dartboard.job(job.id).error
    assert failure is not None
    assert failure.message == "a\N{REPLACEMENT CHARACTER}b \\udce9.png"


def test_an_upload_that_ends_after_its_job_leaves_no_file(bench: Bench, http: httpx.Client, service: Service) -> None:
    job = bench.submit()
    training = bench.claim()

    def content() -> Any:
        yield b"first half"
        bench.dartboard.cancel(job.id)
        bench.dartboard.delete(job.id)
        yield b"second half"

    headers = {"Authorization": f"Bearer {service.worker_key}", "X-Attempt-Token": training.claimed.token}
    path = f"/worker/attempts/{training.claimed.attempt_id}/files/late.pt"
    assert http.put(path, content=content(), headers=headers).status_code in (403, 409)
    assert not list((service.data / "artifacts").rglob("late.pt"))
