"""The command's output to a terminal, into a pipe and into a pipe whose reader has gone."""

from __future__ import annotations

import json
import re
import signal
from typing import Any, Final

import pytest

from client.failures import ExitCode
from tests.support.command import Caller, Furnished
from tests.support.command_process import at_terminal, into_closed_pipe, start
from tests.support.service import Bench, Service

_ESCAPE: Final = "\x1b["
_COLOUR: Final = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d|10\d)(?:;\d+)*m")
_ANY_ESCAPE: Final = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("line", ["jobs --help", "jobs --limit x"])
def test_no_color_turns_colours_off(line: str) -> None:
    assert _COLOUR.search(at_terminal(*line.split()).text)
    assert not _COLOUR.search(at_terminal(*line.split(), NO_COLOR="1").text)


@pytest.mark.parametrize("line", ["", "jobs --help", "jobs --limit x", "profile DARTS_V2"])
def test_a_pipe_gets_no_escape_sequence(line: str) -> None:
    with start(*line.split(), TERM="xterm-256color") as process:
        out, err = process.communicate()
    assert out + err
    assert _ESCAPE not in out + err


@pytest.mark.parametrize("line", ["", "--help", "jobs --help", "jobs", "genotypes --json", "profile DARTS_V2"])
def test_output_whose_reader_has_gone_ends_with_141(service: Service, line: str) -> None:
    code, err = into_closed_pipe(*line.split(), DARTBOARD_URL=service.url)
    assert (code, err) == (ExitCode.BROKEN_PIPE, "")


@pytest.mark.parametrize("command", ["watch", "logs", "genotype", "show", "epochs"])
def test_output_of_a_job_whose_reader_has_gone_ends_with_141(
    service: Service, furnished: Furnished, command: str
) -> None:
    code, err = into_closed_pipe(command, str(furnished.succeeded.id), DARTBOARD_URL=service.url)
    assert (code, err) == (ExitCode.BROKEN_PIPE, "")


def test_watch_whose_reader_takes_one_line_ends_with_141(service: Service, bench: Bench) -> None:
    job = bench.submit()
    with start("watch", str(job.id), DARTBOARD_URL=service.url) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        bench.dartboard.cancel(job.id)
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait()) == ("", ExitCode.BROKEN_PIPE)


def test_watch_writes_events_into_a_pipe_as_lines_of_json(service: Service, furnished: Furnished) -> None:
    with start("watch", str(furnished.succeeded.id), DARTBOARD_URL=service.url) as process:
        out, err = process.communicate()
    assert process.returncode == ExitCode.OK, err
    events = [json.loads(line) for line in out.splitlines()]
    assert {"status", "epoch", "log", "checkpoint", "end"} <= {event["event"] for event in events}
    assert all(set(event) == {"id", "event", "data"} for event in events)
    *ids, last = [event["id"] for event in events]
    assert ids == sorted(set(ids))
    assert (last, events[-1]["event"]) == (ids[-1], "end")


def test_ctrl_c_ends_the_watching_and_not_the_job(service: Service, bench: Bench) -> None:
    job = bench.submit()
    with start("watch", str(job.id), DARTBOARD_URL=service.url) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert first["data"]["status"] == "queued"
    assert process.returncode == ExitCode.INTERRUPTED, err
    assert f"search {job.id} goes on: `dartboard watch {job.id}` shows it again" in err
    assert "Traceback" not in err
    assert bench.dartboard.job(job.id).status == "queued"


def test_search_as_json_is_one_document_when_it_is_queued_and_when_it_has_ended(service: Service, bench: Bench) -> None:
    line = ["search", "--json", "--epochs=1", f"--set=pool={bench.pool}"]
    with start(*line, "--detach", DARTBOARD_URL=service.url) as process:
        out, err = process.communicate()
    assert process.returncode == ExitCode.OK, err
    queued = json.loads(out)
    assert (queued["status"], out.count("\n")) == ("queued", 1)
    bench.dartboard.cancel(queued["id"])

    with start(*line, DARTBOARD_URL=service.url) as process:
        assert process.stderr is not None
        told = process.stderr.readline()  # once it is queued
        training = bench.claim()
        training.report(1, alphas=dict.fromkeys(("normal", "reduce"), [[0.5] * 8] * 14))
        training.finish()
        out, err = process.communicate()
    assert process.returncode == ExitCode.OK, err
    ended = json.loads(out)
    assert told == f"search {ended['id']}\n"
    assert (ended["status"], out.count("\n")) == ("succeeded", 1)


def test_show_cuts_nothing_at_80_columns_and_in_a_pipe(
    at_service: Caller, service: Service, furnished: Furnished
) -> None:
    job_id = str(furnished.failed.id)
    job = json.loads(at_service("show", job_id, "--json").out)
    whole = [job_id, *(f"{name}: {_shown(value)}" for name, value in job["spec"].items())]
    assert max(map(len, whole)) > 80
    shown = at_terminal("show", job_id, DARTBOARD_URL=service.url)
    assert shown.code == ExitCode.OK
    for text in (_ANY_ESCAPE.sub("", shown.text), at_service("show", job_id).out):
        missing = [part for part in whole if part not in text]
        assert not missing, text


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
