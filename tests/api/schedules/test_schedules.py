"""Schedules submit jobs at their times, each time once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from api.schemas.schedules import ScheduleOut
from client.cli import call
from client.errors import ProblemError
from tests.support.checkpoint_files import ours
from tests.support.databases import plain
from tests.support.deliveries import settled
from tests.support.receiver import receiving
from tests.support.schedulers import run_passes
from tests.support.service import Bench, Service

Add = Callable[..., ScheduleOut]
Due = Callable[..., datetime]
HOUR = timedelta(hours=1)


def outcomes(bench: Bench, schedule: ScheduleOut) -> list[str]:
    """Newest first."""
    return [each.outcome for each in bench.dartboard.schedule_runs(schedule.id)]


def test_a_schedule_shows_its_next_time(bench: Bench, add: Add) -> None:
    schedule = add("30 2 * * 1-5", name="nightly", time_zone="Europe/Berlin", request={"project": "thesis"})
    assert schedule.state == "active"
    assert (schedule.name, schedule.project, schedule.made, schedule.error) == ("nightly", "thesis", 0, None)
    assert schedule.next_at is not None
    assert schedule.next_at > datetime.now(UTC)
    assert bench.dartboard.schedule(schedule.id) == schedule
    assert schedule in bench.dartboard.schedules()


def test_a_due_schedule_submits_a_job_of_its_own(bench: Bench, add: Add, due: Due, service: Service) -> None:
    schedule = add(name="hourly", request={"labels": {"team": "vision"}})
    planned = due(schedule)
    run_passes(service)
    [run] = bench.dartboard.schedule_runs(schedule.id)
    assert (run.planned_at, run.outcome, run.reason, run.status) == (planned, "queued", None, "queued")
    assert run.job is not None
    job = bench.dartboard.job(run.job)
    assert (job.kind, job.name, job.labels, job.spec["epochs"]) == ("search", "hourly", {"team": "vision"}, 1)
    assert bench.claim().claimed.job_id == job.id
    after = bench.dartboard.schedule(schedule.id)
    assert after.made == 1
    assert after.next_at is not None
    assert after.next_at > datetime.now(UTC)


def test_passes_at_the_same_moment_submit_one_job(bench: Bench, add: Add, due: Due, service: Service) -> None:
    schedules = [add() for _ in range(5)]
    for schedule in schedules:
        due(schedule)
    run_passes(service, 4)
    assert [outcomes(bench, schedule) for schedule in schedules] == [["queued"]] * 5
    assert [bench.dartboard.schedule(schedule.id).made for schedule in schedules] == [1] * 5
    for _ in schedules:
        bench.claim()
    assert bench.nothing_to_claim()


def test_a_process_that_dies_before_its_commit_leaves_no_job(
    bench: Bench, add: Add, due: Due, service: Service
) -> None:
    schedule = add()
    with psycopg.connect(plain(service.database_url)) as lock:
        due(schedule)
        lock.execute("select from schedules where id = %s for update", [schedule.id])
        name = f"doomed-{uuid4().hex[:8]}"
        told = [f"{service.database_url}?application_name={name}", service.broker_url, str(service.data / "artifacts")]
        doomed = subprocess.Popen([sys.executable, "-m", "tests.support.schedulers", *told])
        # It has stored the job, not committed, and waits for the schedule's row.
        waiting = "select from pg_stat_activity where application_name = %s and wait_event_type = 'Lock'"
        with psycopg.connect(plain(service.database_url), autocommit=True) as watch:
            while watch.execute(waiting, [name]).fetchone() is None:
                assert doomed.poll() is None
                time.sleep(0.02)
        doomed.kill()
        doomed.wait()
    run_passes(service)
    assert outcomes(bench, schedule) == ["queued"]
    bench.claim()
    assert bench.nothing_to_claim()


def test_of_missed_times_the_latest_alone_brings_a_job(bench: Bench, add: Add, due: Due, service: Service) -> None:
    schedule = add()
    due(schedule, ago=50 * HOUR)
    run_passes(service)
    [run] = bench.dartboard.schedule_runs(schedule.id)
    assert timedelta(0) <= run.created_at - run.planned_at < HOUR
    assert (run.planned_at.minute, run.planned_at.second) == (0, 0)
    run_passes(service)
    assert outcomes(bench, schedule) == ["queued"]


def test_no_missed_time_after_the_end_brings_a_job(bench: Bench, add: Add, due: Due, service: Service) -> None:
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 10 * HOUR
    schedule = add()
    due(schedule, ago=50 * HOUR)
    with psycopg.connect(plain(service.database_url)) as connection:
        connection.execute("update schedules set until = %s where id = %s", [end, schedule.id])
    run_passes(service)
    [run] = bench.dartboard.schedule_runs(schedule.id)
    assert run.planned_at == end
    assert bench.dartboard.schedule(schedule.id).state == "ended"


@pytest.mark.parametrize(("overlap", "outcome"), [("skip", "skipped"), ("queue", "queued")])
def test_while_a_job_has_not_ended(
    bench: Bench, add: Add, due: Due, service: Service, overlap: str, outcome: str
) -> None:
    schedule = add(overlap=overlap)
    due(schedule)
    run_passes(service)
    due(schedule)
    run_passes(service)
    latest, first = bench.dartboard.schedule_runs(schedule.id)
    assert latest.outcome == outcome
    assert latest.reason == (f"job {first.job} has not ended" if outcome == "skipped" else None)
    assert first.job is not None
    bench.dartboard.cancel(first.job)
    if latest.job is not None:
        bench.dartboard.cancel(latest.job)
    due(schedule)
    run_passes(service)
    assert outcomes(bench, schedule) == ["queued", outcome, "queued"]


def test_it_ends_after_its_runs(bench: Bench, add: Add, due: Due, service: Service) -> None:
    schedule = add(runs=2, overlap="queue")
    for _ in range(2):
        due(schedule)
        run_passes(service)
    ended = bench.dartboard.schedule(schedule.id)
    assert (ended.state, ended.made, ended.next_at) == ("ended", 2, None)
    assert bench.dartboard.update_schedule(schedule.id, runs=3).state == "active"


def test_a_paused_schedule_leaves_its_times_out(bench: Bench, add: Add, service: Service) -> None:
    schedule = add()
    paused = bench.dartboard.update_schedule(schedule.id, paused=True)
    assert (paused.state, paused.next_at) == ("paused", None)
    run_passes(service)
    resumed = bench.dartboard.update_schedule(schedule.id, paused=False)
    assert (resumed.state, resumed.next_at) == ("active", schedule.next_at)
    assert outcomes(bench, schedule) == []


def test_a_change_keeps_a_time_that_is_due(bench: Bench, add: Add, due: Due, service: Service) -> None:
    schedule = add()
    planned = due(schedule)
    bench.dartboard.update_schedule(schedule.id, name="other", request={"dataset": "digits", "pool": bench.pool})
    run_passes(service)
    [run] = bench.dartboard.schedule_runs(schedule.id)
    assert run.planned_at == planned


def test_the_latest_1000_runs_are_kept(bench: Bench, add: Add, due: Due, service: Service) -> None:
    schedule = add()
    with psycopg.connect(plain(service.database_url)) as connection:
        connection.execute(
            "insert into schedule_runs (id, schedule_id, planned_at, outcome) "
            "select uuidv7(make_interval(hours => -i)), %s, now() - make_interval(hours => i), 'skipped' "
            "from generate_series(1, 1005) as i",
            [schedule.id],
        )
    due(schedule)
    run_passes(service)
    assert outcomes(bench, schedule) == ["queued", *["skipped"] * 999]


def test_a_deleted_schedule_leaves_its_jobs(bench: Bench, add: Add, due: Due, service: Service) -> None:
    schedule = add()
    due(schedule)
    run_passes(service)
    bench.dartboard.remove_schedule(schedule.id)
    with pytest.raises(ProblemError) as gone:
        bench.dartboard.schedule(schedule.id)
    assert gone.value.status == 404
    assert bench.claim().claimed.job_id is not None


def test_a_deleted_job_leaves_its_run(bench: Bench, add: Add, due: Due, service: Service) -> None:
    schedule = add()
    due(schedule)
    run_passes(service)
    [run] = bench.dartboard.schedule_runs(schedule.id)
    assert run.job is not None
    bench.dartboard.cancel(run.job)
    bench.dartboard.delete(run.job)
    [left] = bench.dartboard.schedule_runs(schedule.id)
    assert (left.outcome, left.job, left.status) == ("queued", None, None)


def test_a_refusal_is_shown_told_once_and_forgotten_after_a_job(
    bench: Bench, due: Due, service: Service, tmp_path: Path
) -> None:
    (tmp_path / "x.pt").write_bytes(ours())
    upload = bench.dartboard.upload_checkpoint(tmp_path / "x.pt")
    request = {"checkpoint_id": str(upload.id), "pool": bench.pool}
    schedule = bench.dartboard.add_schedule("score", request, cron="0 * * * *", name="again")
    bench.dartboard.delete_checkpoint(upload.id)
    with receiving() as receiver:
        hook = bench.dartboard.add_webhook(receiver.url, events=["schedule.refused"])
        planned = due(schedule)
        run_passes(service)
        told = receiver.next().json
        due(schedule)
        run_passes(service)
        assert len(settled(bench, hook)) == 1
        bench.dartboard.remove_webhook(hook.id)
    reason = f"no checkpoint {upload.id}"
    assert told["type"] == "schedule.refused"
    assert told["data"] == {
        "schedule": str(schedule.id),
        "name": "again",
        "planned_at": planned.astimezone(UTC).isoformat(),
        "reason": f"schedule again: {reason}",
    }
    assert [(run.outcome, run.reason) for run in bench.dartboard.schedule_runs(schedule.id)] == [
        ("refused", reason)
    ] * 2
    assert bench.dartboard.schedule(schedule.id).error == reason
    again = bench.dartboard.upload_checkpoint(tmp_path / "x.pt")
    bench.dartboard.update_schedule(schedule.id, request={**request, "checkpoint_id": str(again.id)})
    due(schedule)
    run_passes(service)
    after = bench.dartboard.schedule(schedule.id)
    assert (after.error, after.made) == (None, 1)
    bench.dartboard.remove_schedule(schedule.id)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"cron": "61 * * * *"}, "cron: '61 * * * *': bad minute"),
        ({"cron": "* * * * * *"}, "has not five fields"),
        ({"cron": "0 0 30 2 *"}, "bad day-of-month"),
        ({"cron": "0 0 * * \u20ac"}, "cron"),
        ({"time_zone": "Europe/Berlinn"}, "time_zone: 'Europe/Berlinn' is not known"),
        ({"until": "2020-01-01T00:00:00Z"}, "until: the next time, "),
        ({"until": "2030-01-01T00:00:00"}, "until"),
        ({"runs": 0}, "runs"),
        ({"overlap": "both"}, "overlap"),
        ({"kind": "nap"}, "kind"),
        ({"request": {"dataset": "digits", "epochs": 0}}, "request.epochs"),
        ({"request": {"dataset": "digits", "epoch": 1}}, "request.epoch"),
        ({"request": {"dataset": "no-such-set"}}, "no-such-set"),
        ({"request": {"dataset": "digits", "window": "22:00-07:00", "time_zone": "No/Where"}}, "No/Where"),
        ({"request": {"dataset": "digits", "labels": {"a": "b" * 200}, "name": "x" * 100_000}}, "request"),
        ({"kind": "evaluation", "request": {"dataset": "digits"}}, "request"),
        ({"crom": "0 0 * * *"}, "did you mean 'cron'"),
    ],
)
def test_a_bad_request_names_its_field(http: httpx.Client, fields: dict[str, Any], says: str) -> None:
    body = {"cron": "0 0 * * *", "kind": "search", "request": {"dataset": "digits"}, **fields}
    before = len(http.get("/schedules").json()["items"])
    answer = http.post("/schedules", json=body)
    assert (answer.status_code, says in answer.text) == (422, True), answer.text
    assert len(http.get("/schedules").json()["items"]) == before


def test_a_bad_change_changes_nothing(bench: Bench, add: Add) -> None:
    schedule = add()
    for changes in (
        {"cron": "0 0 30 2 *"},
        {"time_zone": "No/Where"},
        {"request": {"dataset": "nope"}},
        {"cron": None},
    ):
        with pytest.raises(ProblemError) as refused:
            bench.dartboard.update_schedule(schedule.id, **changes)
        assert refused.value.status == 422
    assert bench.dartboard.schedule(schedule.id) == schedule


def test_unknown_schedules_are_404(http: httpx.Client) -> None:
    path = f"/schedules/{uuid4()}"
    answers = (http.get(path), http.patch(path, json={}), http.delete(path), http.get(f"{path}/runs"))
    assert [answer.status_code for answer in answers] == [404] * 4


def test_the_command_adds_pauses_resumes_and_removes(
    bench: Bench, capsys: pytest.CaptureFixture[str], due: Due, service: Service
) -> None:
    def schedules(*arguments: str) -> str:
        assert call(["schedules", *arguments, "--url", bench.dartboard.url]) == 0
        return capsys.readouterr().out

    added = schedules(
        "add",
        "30 2 * * *",
        "search",
        "--zone",
        "Europe/Berlin",
        "--set",
        "dataset=digits",
        "--set",
        f"pool={bench.pool}",
    )
    schedule = next(each for each in bench.dartboard.schedules() if each.request.get("pool") == bench.pool)
    assert f"{schedule.id}" in added
    assert " 02:30 CE" in added  # CET or CEST
    assert "paused" in schedules("pause", str(schedule.id))
    assert "active" in schedules("resume", str(schedule.id))
    due(schedule)
    run_passes(service)
    assert "queued" in schedules("runs", str(schedule.id))
    assert schedules("remove", str(schedule.id)) == f"removed {schedule.id}\n"
