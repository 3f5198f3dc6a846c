"""What jobs take of the workers: by owner, project, device and day, also after they are deleted."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from typer.testing import CliRunner

from api.schemas.jobs import Failure
from api.schemas.usage import UsageRow
from api.schemas.worker import Fail, Heartbeat, Presence
from client.cli import app
from client.errors import ProblemError
from tests.support.databases import plain
from tests.support.service import Bench, Service, SimulatedAttempt


def project(bench: Bench) -> str:
    """A project of the test's own."""
    return f"project-{bench.pool}"


def begin(bench: Bench, device: str | None = "NVIDIA H100", seconds: float = 0, **fields: Any) -> SimulatedAttempt:
    """An attempt that has run for so long by its worker's clock."""
    bench.submit(**{"project": project(bench), "epochs": 1, **fields})
    worker = f"worker of {bench.pool}"
    if device is not None:
        bench.api.show(Presence(name=worker, device=device, version="0", pools=[bench.pool]))
    attempt = bench.claim(worker)
    attempt.attempt.heartbeat(Heartbeat(seconds=seconds))
    return attempt


def end(attempt: SimulatedAttempt) -> None:
    attempt.report(1)
    attempt.finish()


def rows_of(bench: Bench, *by: Any, **ends: Any) -> list[UsageRow]:
    return [row for row in bench.dartboard.usage("project", *by, **ends).rows if row.project == project(bench)]


def the_row(bench: Bench, *by: Any) -> UsageRow:
    [row] = rows_of(bench, *by)
    return row


def test_ended_and_running_attempts_count_with_their_gpus(bench: Bench) -> None:
    end(begin(bench, seconds=100))
    begin(bench, seconds=50)
    row = the_row(bench, "device", "kind")
    assert (row.jobs, row.attempts, row.device, row.kind) == (2, 2, "NVIDIA H100", "search")
    assert 150 <= row.compute_seconds == row.gpu_seconds < 200
    assert row.lost_seconds == 0


def test_the_energy_of_heartbeats_is_counted(bench: Bench) -> None:
    attempt = begin(bench, seconds=100)
    attempt.attempt.heartbeat(Heartbeat(seconds=200, joules=1.8e6))
    attempt.attempt.heartbeat(Heartbeat(seconds=300))  # its GPUs do not tell any more
    assert the_row(bench).kwh == 0.5
    end(attempt)
    assert the_row(bench).kwh == 0.5


@pytest.mark.parametrize("device", ["cpu (x86_64, 2 cores)", None])
def test_only_what_ran_on_a_gpu_is_gpu_time(bench: Bench, device: str | None) -> None:
    end(begin(bench, device, seconds=100))
    row = the_row(bench, "device")
    assert (row.device, row.gpu_seconds) == (device, 0)
    assert 100 <= row.compute_seconds < 150


def test_a_deleted_job_still_counts(bench: Bench) -> None:
    attempt = begin(bench, seconds=100)
    end(attempt)
    before = the_row(bench, "device")
    bench.dartboard.delete(attempt.claimed.job_id)
    assert the_row(bench, "device") == before


def test_what_a_lost_attempt_had_not_stored_is_lost(bench: Bench) -> None:
    attempt = begin(bench, epochs=3)
    attempt.report(1)
    attempt.attempt.heartbeat(Heartbeat(seconds=1_000))  # since its start, of which the first epoch took none here
    lost = Failure(type="WorkerLost", message="killed")
    attempt.attempt.fail(Fail(n=attempt.number(), error=lost, outcome="lost"))
    row = the_row(bench)
    assert 1_000 <= row.compute_seconds < 1_100
    assert row.compute_seconds - 60 < row.lost_seconds < row.compute_seconds


def test_a_released_attempt_has_lost_nothing(bench: Bench) -> None:
    attempt = begin(bench, seconds=100, epochs=3)
    bench.dartboard.cancel(attempt.claimed.job_id)
    assert the_row(bench).lost_seconds == 0


def test_an_attempt_over_midnight_counts_for_both_days(bench: Bench, service: Service) -> None:
    attempt = begin(bench, seconds=400)
    end(attempt)
    with psycopg.connect(plain(service.database_url)) as connection:
        connection.execute(
            "update usage set seconds = 400, started_at = '2020-02-28 23:00+00', ended_at = '2020-03-01 02:00+00' "
            "where attempt_id = %s",
            (attempt.claimed.attempt_id,),
        )
    days = rows_of(bench, "day", since="2020-02-01", until="2020-04-01")
    found = [(str(row.day), round(row.compute_seconds, 6)) for row in days]
    assert found == [
        ("2020-02-28", 14.814815),
        ("2020-02-29", 355.555556),
        ("2020-03-01", 29.62963),
    ]
    # An end within the attempt cuts it; so does one in another time zone.
    [half] = rows_of(bench, since="2020-02-29T12:30:00", until="2020-03-01T03:00:00+01:00")
    assert half.compute_seconds == pytest.approx(400 / 27 * 13.5)


def test_the_total_counts_each_job_once(bench: Bench, service: Service) -> None:
    with psycopg.connect(plain(service.database_url)) as connection:
        connection.execute(
            "insert into usage values (gen_random_uuid(), gen_random_uuid(), 'search', 'ada', null, null, 2, 100, 10, "
            "7.2e6, '2019-06-01 23:00+00', '2019-06-02 01:00+00')"
        )
    found = bench.dartboard.usage("day", "owner", since="2019-06-01", until="2019-06-03")
    assert [(row.owner, row.jobs, row.compute_seconds, row.lost_seconds) for row in found.rows] == [
        ("ada", 1, 100, 10)
    ] * 2
    assert (found.total.jobs, found.total.attempts, found.total.compute_seconds) == (1, 1, 200)
    assert ([row.kwh for row in found.rows], found.total.kwh) == ([1, 1], 2)
    assert found.by == ["day", "owner"]
    assert "project" not in found.rows[0].model_fields_set


def test_nothing_is_no_row_and_a_total_of_zero(bench: Bench) -> None:
    found = bench.dartboard.usage(since="1999-01-01", until="1999-02-01")
    assert found.rows == []
    assert (found.total.compute_seconds, found.total.jobs, found.total.kwh) == (0, 0, None)


def test_without_ends_it_is_that_of_the_last_thirty_days(bench: Bench) -> None:
    found = bench.dartboard.usage()
    assert found.until - found.since == timedelta(days=30)
    assert abs(found.until - datetime.now(UTC)) < timedelta(minutes=1)


def test_csv_has_no_formulas(bench: Bench, http: httpx.Client) -> None:
    end(begin(bench, "=cmd|' /C calc'!A0", seconds=10))
    text = http.get("/usage", params={"by": ["project", "device"], "format": "csv"}).text
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["project"] == project(bench)]
    assert [(row["device"], row["jobs"]) for row in rows] == [("'=cmd|' /C calc'!A0", "1")]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"since": "2020-01-02", "until": "2020-01-02"}, "not before"),
        ({"until": "0001-01-05"}, "years 1 and 9999"),
        ({"since": "0001-01-01T00:00:00+14:00"}, "years 1 and 9999"),
        ({"since": "yesterday"}, "since"),
        ({"by": "colour"}, "by"),
        ({"by": ["owner"] * 6}, "by"),
        ({"owner": "ada"}, "owner"),
    ],
)
def test_refused(http: httpx.Client, given: dict[str, Any], said: str) -> None:
    answer = http.get("/usage", params=given)
    assert answer.status_code == 422
    assert said in answer.text


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 81, 5])
def test_a_project_is_a_name(bench: Bench, name: object) -> None:
    with pytest.raises(ProblemError) as refused:
        bench.submit(project=name)
    assert (refused.value.status, "project" in refused.value.detail) == (422, True)


def test_the_command_prints_hours(bench: Bench) -> None:
    end(begin(bench, seconds=7_200))

    def run(*options: str) -> str:
        line = ["usage", "--by", "project", "--by", "device", "--url", bench.dartboard.url, *options]
        answer = CliRunner().invoke(app, line, catch_exceptions=False)
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    [line] = [line.split() for line in run("--wide").splitlines() if line.startswith(project(bench))]
    assert line == [project(bench), "NVIDIA", "H100", "1", "1", "2.00", "2.00", "0.00", "–"]
    assert json.loads(run("--json"))["by"] == ["project", "device"]
    assert run("--csv").splitlines()[0] == "project,device,jobs,attempts,compute_seconds,gpu_seconds,lost_seconds,kwh"
